import { parseArguments, VERBS, type Request } from '../../../src/cli/arguments';

function parse(line: string): ReturnType<typeof parseArguments> {
  return parseArguments(line.split(' ').filter(Boolean));
}

const [file, json] = [null, false];

test.each<[line: string, request: Request]>([
  ['', { verb: 'run', file, json, strict: false }],
  ['run', { verb: 'run', file, json, strict: false }],
  ['run -c a.yaml', { verb: 'run', file: 'a.yaml', json, strict: false }],
  ['-c a.yaml', { verb: 'run', file: 'a.yaml', json, strict: false }],
  ['-c check', { verb: 'run', file: 'check', json, strict: false }],
  ['--json a.yaml', { verb: 'run', file: 'a.yaml', json: true, strict: false }],
  ['--config=a.yaml --json', { verb: 'run', file: 'a.yaml', json: true, strict: false }],
  ['--json', { verb: 'run', file, json: true, strict: false }],
  ['check -c a.yaml', { verb: 'check', file: 'a.yaml', json }],
  ['check a.yaml', { verb: 'check', file: 'a.yaml', json }],
  ['run --json --strict a.yaml', { verb: 'run', file: 'a.yaml', json: true, strict: true }],
  ['print -- -odd.yaml', { verb: 'print', file: '-odd.yaml', json }],
  ['check --json', { verb: 'check', file, json: true }],
  ['print -ca.yaml', { verb: 'print', file: 'a.yaml', json }],
  ['explain 10.0.0.5', { verb: 'explain', address: '10.0.0.5', service: null, file, json }],
  [
    'explain ::1 --service web -c a.yaml --json',
    { verb: 'explain', address: '::1', service: 'web', file: 'a.yaml', json: true },
  ],
  ['try 7007 -- cat', { verb: 'try', listen: '7007', command: ['cat'], json }],
  ['try --json [::1]:0 -- tr -d a', { verb: 'try', listen: '[::1]:0', command: ['tr', '-d', 'a'], json: true }],
  ['try 0 -- sh -c -- --json', { verb: 'try', listen: '0', command: ['sh', '-c', '--', '--json'], json }],
  ['schema', { verb: 'schema' }],
  ['version', { verb: 'version', json }],
  ['version --json', { verb: 'version', json: true }],
  ['--version', { verb: 'version', json }],
  ['--version --json', { verb: 'version', json: true }],
  ['-V', { verb: 'version', json }],
  ['help', { verb: 'help', topic: null }],
  ['help try', { verb: 'help', topic: 'try' }],
  ['--help', { verb: 'help', topic: null }],
  ['-h', { verb: 'help', topic: null }],
])('stdiod %s', (line, request) => {
  expect(parse(line)).toEqual({ ok: true, request });
});

test.each(VERBS)('stdiod %s --help is help on that verb', (verb) => {
  for (const flag of ['--help', '-h']) {
    expect(parse(`${verb} ${flag}`)).toEqual({ ok: true, request: { verb: 'help', topic: verb } });
  }
});

test('an empty word of a command is kept', () => {
  const parsed = parseArguments(['try', '7007', '--', 'printf', '']);
  expect(parsed).toMatchObject({ request: { command: ['printf', ''] } });
});

const HELP = 'see "stdiod help"';
const EXAMPLE = 'stdiod try 127.0.0.1:7007 -- cat';
const PID = '"pgrep -x stdiod" tells its PID';

test.each([
  ['chekc', 'there is no verb "chekc"', 'did you mean "check"?'],
  ['frobnicate', 'there is no verb "frobnicate"', HELP],
  ['services.yaml', 'there is no verb "services.yaml"', 'to serve what it says: stdiod run services.yaml'],
  ['./a.py x', 'there is no verb "./a.py"', 'to serve this program: stdiod try 127.0.0.1:7007 -- ./a.py x'],
  ['7017 ./a.py', 'there is no verb "7017"', 'to serve one command: stdiod try 7017 -- ./a.py'],
  ['[::1]:7017', 'there is no verb "[::1]:7017"', "to serve one command: stdiod try '[::1]:7017' -- COMMAND"],
  ['run 7017 cat', 'run: "7017" is an address, and no file', 'to serve one command: stdiod try 7017 -- cat'],
  [
    'python3 a.py',
    'there is no verb "python3"',
    `${HELP}; to serve a command: stdiod try 127.0.0.1:7007 -- python3 a.py`,
  ],
  ['-c a.yaml check', 'the verb "check" stands behind an option', 'write: stdiod check -c a.yaml'],
  [
    '--json --config a.yaml print',
    'the verb "print" stands behind an option',
    'write: stdiod print --json --config a.yaml',
  ],
  ['run -c=a.yaml', 'run: -c takes its file without "="', 'write: -c a.yaml'],
  ['schema draft', 'schema: unexpected word "draft"', 'see "stdiod help schema"'],
  ['help run check', 'help: unexpected word "check"', 'see "stdiod help help"'],
  ['run -c', 'run: -c lacks its file', 'for example: stdiod run -c services.yaml'],
  ['run --config --json', 'run: --config lacks its file', 'for example: stdiod run --config services.yaml'],
  ['run --json=yes', 'run: --json takes no value, got "yes"', 'write --json alone'],
  ['explain', 'explain: an address is missing', 'for example: stdiod explain 10.0.0.5'],
  ['explain 10.0.0.0/8', 'explain: "10.0.0.0/8" is not one client', 'for example: stdiod explain 10.0.0.5'],
  ['explain 10.0', 'explain: "10.0" is neither an address nor a network', 'write 10.0.0.0/16'],
  ['explain ::1 a.yaml', 'explain: unexpected word "a.yaml"', 'name the configuration with -c FILE'],
  [
    'explain ::1 --service',
    'explain: --service lacks the name of a service',
    'for example: stdiod explain 10.0.0.5 --service web',
  ],
  ['try', 'try: an address is missing', `for example: ${EXAMPLE}`],
  ['try -- cat', 'try: an address is missing', 'for example: stdiod try 127.0.0.1:7007 -- cat'],
  ['try 7007', 'try: a command is missing', 'for example: stdiod try 7007 -- cat'],
  ['try 7007 --', 'try: a command is missing', 'for example: stdiod try 7007 -- cat'],
  ['try 7007 cat -n', 'try: there is no option "-n"', 'to look for mistakes: stdiod check [-c FILE]'],
  ['try 7007 cat', 'try: put "--" before the command', 'write: stdiod try 7007 -- cat'],
  ['try 7007 cat -- dog', 'try: put "--" before the command', 'write: stdiod try 7007 -- cat dog'],
  [
    'try 7007 7008 -- cat',
    'try: there can be only one address, got "7007" and "7008"',
    'keep the YAML that is printed for one, and write "listen: [7007, 7008]" in it',
  ],
])('stdiod %s is wrong usage, with a remedy', (line, message, remedy) => {
  expect(parse(line)).toEqual({ ok: false, message, remedy });
});

test.each(['-c a -c b', 'run a b', 'explain ::1 -c a -c b', 'check -c a b', 'print --config=a -cb', 'check a -- b'])(
  'stdiod %s names two configurations, and none is taken',
  (line) => {
    expect(parse(line)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/: there can be only one configuration, got "a" and "b"$/),
    });
  },
);

test.each([
  ['--jason', 'did you mean "--json"?'],
  ['--versoin', 'did you mean "--version"?'],
  ['--conf a', 'did you mean "--config"?'],
  ['check --JSON', 'did you mean "--json"?'],
  ['check --hlep', 'did you mean "--help"?'],
  ['-t', 'to look for mistakes: stdiod check [-c FILE]'],
  ['-v', 'which stdiod this is: stdiod version; it always tells everything that it does'],
  ['run --version', 'which stdiod this is: stdiod version; it always tells everything that it does'],
  ['-d', 'stdiod stays in the foreground and reports on stderr; a service manager puts it in the background'],
  ['-q', 'events go to stderr: 2>FILE keeps them elsewhere, 2>/dev/null nowhere'],
  ['-f a', 'name the file with -c FILE'],
  ['run --port 80', `addresses stand in the file ("listen: 7007"); without a file: ${EXAMPLE}`],
  ['-F', 'leave it out: stdiod always stays in the foreground'],
  ['-x', 'see "stdiod help run"'],
  ['run --constructor', 'see "stdiod help run"'],
  ['schema --json', 'see "stdiod help schema"'],
])('stdiod %s: an option that is not there, and what was meant', (line, remedy) => {
  expect(parse(line)).toMatchObject({ ok: false, message: expect.stringMatching(/: there is no option "-/), remedy });
});

test.each([
  ['start', 'to serve: stdiod run, in the foreground; a service manager puts it in the background'],
  ['status', `"kill -USR1 PID" makes a running stdiod log the state of each service; ${PID}`],
  ['ps', `"ps -f --ppid PID" shows the children of a running stdiod; ${PID}`],
  ['reload', `"kill -HUP PID" makes a running stdiod read its file again, and its log says what came of it; ${PID}`],
  ['STOP', `"kill PID" lets a running stdiod finish and stop, "kill -QUIT PID" ends everything at once; ${PID}`],
  ['disable web', 'write "enabled: true" or "enabled: false" under the service, and send HUP ("kill -HUP PID")'],
  ['validate a.yaml', 'to look for mistakes: stdiod check [-c FILE]'],
])('stdiod %s: a word of other tools is answered with what does it here', (line, remedy) => {
  expect(parse(line)).toMatchObject({ ok: false, remedy });
});

test.each([
  ['tr a-z A-Z | rev', "let a shell run it: stdiod try 7017 -- sh -c 'tr a-z A-Z | rev'"],
  ['cat *.txt', "let a shell run it: stdiod try 7017 -- sh -c 'cat *.txt'"],
  ['tr a-z A-Z', 'leave out the quotes: stdiod try 7017 -- tr a-z A-Z'],
])('stdiod try 7017 -- %j is one word where several were meant', (word, remedy) => {
  const message = `try: there is no program "${word}"`;
  expect(parseArguments(['try', '7017', '--', word])).toEqual({ ok: false, message, remedy });
});

test.each(['./my program', '/opt/my program', 'cat'])('stdiod try 7017 -- %j is a command', (word) => {
  expect(parseArguments(['try', '7017', '--', word])).toMatchObject({ ok: true, request: { command: [word] } });
});
