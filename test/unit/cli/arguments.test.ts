import { parseArguments, VERBS, type Request } from '../../../src/cli/arguments';

function parse(line: string): ReturnType<typeof parseArguments> {
  const parsed = parseArguments(line.split(' ').filter(Boolean));
  if (parsed.ok) return parsed;
  // Jest has an Error of its own, so errors of Node's library are shown with their class here, and only here.
  return { ...parsed, message: parsed.message.replace(/TypeError \[\w+\]: /, '') };
}

const [file, json] = [null, false];

test.each<[line: string, request: Request]>([
  ['', { verb: 'run', file, json }],
  ['run', { verb: 'run', file, json }],
  ['run -c a.yaml', { verb: 'run', file: 'a.yaml', json }],
  ['-c a.yaml', { verb: 'run', file: 'a.yaml', json }],
  ['--config=a.yaml --json', { verb: 'run', file: 'a.yaml', json: true }],
  ['--json', { verb: 'run', file, json: true }],
  ['check -c a.yaml', { verb: 'check', file: 'a.yaml', json }],
  ['check --json', { verb: 'check', file, json: true }],
  ['print -ca.yaml', { verb: 'print', file: 'a.yaml', json }],
  ['try 7007 -- cat', { verb: 'try', listen: '7007', command: ['cat'], json }],
  ['try --json [::1]:0 -- tr -d a', { verb: 'try', listen: '[::1]:0', command: ['tr', '-d', 'a'], json: true }],
  ['try 0 -- sh -c -- --json', { verb: 'try', listen: '0', command: ['sh', '-c', '--', '--json'], json }],
  ['schema', { verb: 'schema' }],
  ['version', { verb: 'version', json }],
  ['version --json', { verb: 'version', json: true }],
  ['--version', { verb: 'version', json }],
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

test.each([
  ['chekc', 'there is no verb "chekc"', 'did you mean "check"?'],
  ['frobnicate', 'there is no verb "frobnicate"', 'see "stdiod help"'],
  ['services.yaml', 'there is no verb "services.yaml"', 'see "stdiod help"'],
  ['run a.yaml', 'run: unexpected word "a.yaml"', 'name the file with -c: stdiod run -c FILE'],
  ['check -- a.yaml', 'check: unexpected word "a.yaml"', 'name the file with -c: stdiod check -c FILE'],
  ['schema draft', 'schema: unexpected word "draft"', 'see "stdiod help schema"'],
  ['run --port', "run: Unknown option '--port'", 'see "stdiod help run"'],
  ['-x', "run: Unknown option '-x'", 'see "stdiod help run"'],
  ['schema --json', "schema: Unknown option '--json'", 'see "stdiod help schema"'],
  ['try', 'try: an address is missing', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
  ['try -- cat', 'try: an address is missing', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
  ['try 7007', 'try: put "--" before the command', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
  ['try 7007 cat', 'try: put "--" before the command', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
  ['try 7007 cat -- dog', 'try: put "--" before the command', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
  ['try 7007 --', 'try: a command is missing', 'for example: stdiod try 127.0.0.1:7007 -- tr a-z A-Z'],
])('stdiod %s is wrong usage, with a remedy', (line, message, remedy) => {
  expect(parse(line)).toEqual({ ok: false, message, remedy });
});

test('an option that lacks its value says so on one line', () => {
  const parsed = parse('run -c');
  expect(parsed).toMatchObject({ ok: false, message: expect.stringMatching(/^run: .*argument missing/) });
  expect(parsed.ok ? '' : parsed.message).not.toMatch('\n');
});
