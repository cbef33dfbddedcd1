/**
 * The command line: verbs, streams and exit statuses.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { startDaemon, startWords } from './daemon';
import { endAll } from './endings';
import { fixture, main, makeFolder, project } from './fixtures';

afterEach(endAll);

const GOOD = 'services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n';
const BAD = 'services:\n  echo: {listen: 70000, exec: cat}\n  b: {listen: "127.0.0.1:0", comand: cat}\n';

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(words: readonly string[], cwd = '/', env: Readonly<Record<string, string>> = {}): Outcome {
  const options = { cwd, encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], options);
  return { status, stdout, stderr };
}

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = makeFolder();
  mkdirSync(join(folder, 'config'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

describe('check', () => {
  test('prints nothing about a good file, and exits with 0', () => {
    const folder = folderWith({ 'it.yaml': GOOD });
    expect(run(['check', '-c', 'it.yaml'], folder)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('takes the file as a word, too', () => {
    const folder = folderWith({ 'it.yaml': GOOD, 'bad.yaml': BAD });
    expect(run(['check', 'it.yaml'], folder)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(run(['check', 'bad.yaml'], folder)).toMatchObject({ status: 78, stdout: '' });
  });

  test('says on a terminal what was checked', () => {
    const more =
      'services:\n  a: {listen: [7007, "7100-7109"], exec: cat}\n  b: {listen: 7008, exec: cat, enabled: false}\n';
    const folder = folderWith({ 'services.yaml': GOOD, 'more.yaml': more });
    const say = (...words: string[]): Outcome => {
      const args = [fixture('on-terminal.py'), process.execPath, main, 'check', ...words];
      return spawnSync('python3', args, { cwd: folder, encoding: 'utf8' });
    };
    expect(say()).toMatchObject({ status: 0, stdout: '', stderr: 'services.yaml: 1 service, 1 address, ok\n' });
    expect(say('more.yaml').stderr).toBe('more.yaml: 1 service (and 1 not enabled), 11 addresses, ok\n');
    expect(say('--json').stderr).toBe('');
  });

  // The machine's own configuration would be found.
  const isFree = !existsSync('/etc/stdiod/services.yaml');

  (isFree ? test : test.skip)('without any file is a problem like others with --json', () => {
    const { status, stdout, stderr } = run(['check', '--json'], makeFolder());
    expect([status, stderr]).toEqual([78, '']);
    expect(JSON.parse(stdout)).toMatchObject([
      { line: 0, message: expect.stringMatching(/^there is no configuration/) },
    ]);
  });

  test('prints every problem of a bad file on stderr, and exits with 78', () => {
    const { status, stdout, stderr } = run(['check', '-c', 'it.yaml'], folderWith({ 'it.yaml': BAD }));
    expect([status, stdout]).toEqual([78, '']);
    expect(stderr).toContain('it.yaml:2:18: services.echo.listen: port must be 0-65535, got 70000');
    expect(stderr).toMatch(/^it\.yaml:3:\d+: services\.b: unknown key "comand"/m);
  });

  test('knows which addresses this machine has: its own, loopback, every one and those of groups', () => {
    const listen = ['127.9.9.9:0', '0.0.0.0:0', '224.0.0.251:0/udp', '203.0.113.77:0', '203.0.113.77:0/udp'];
    const yaml = JSON.stringify({ services: { a: { listen, exec: 'cat', wait: true } } });
    const { status, stderr } = run(['check', '-c', 'it.yaml'], folderWith({ 'it.yaml': yaml }));
    const found = [...stderr.matchAll(/services\.a\.listen\[(\d)\]: this machine has no address 203\.0\.113\.77$/gm)];
    expect([status, found.map(([, index]) => index)]).toEqual([78, ['3', '4']]);
  });

  test('prints problems as JSON on stdout with --json', () => {
    const { status, stdout, stderr } = run(['check', '-c', 'it.yaml', '--json'], folderWith({ 'it.yaml': BAD }));
    expect([status, stderr]).toEqual([78, '']);
    const problems = JSON.parse(stdout) as object[];
    expect(problems[0]).toMatchObject({ file: 'it.yaml', line: 2, path: 'services.echo.listen' });
    expect(Object.keys(problems[0] ?? {})).toEqual(['file', 'line', 'column', 'path', 'message', 'remedy']);
  });
});

describe('run', () => {
  test('starts nothing with a bad file, and exits with 78', () => {
    const folder = folderWith({ 'it.yaml': BAD });
    const { status, stdout, stderr } = run(['run', '-c', 'it.yaml'], folder);
    expect([status, stdout]).toEqual([78, '']);
    expect(stderr).toContain(`"file":"${folder}/it.yaml"`);
    expect(stderr).toMatch(/^\{"event":"problem",[^]*\n\{"event":"rejected",[^\n]*"problems":2\}\n$/);
  });

  test('exits with 78 when the named file does not exist', () => {
    const { status, stderr } = run(['run', '-c', '/nowhere/services.yaml']);
    expect(status).toBe(78);
    expect(stderr).toContain('/nowhere/services.yaml');
  });

  test('is the verb when there is none', async () => {
    const folder = folderWith({ 'it.yaml': GOOD });
    const daemon = await startWords(['-c', join(folder, 'it.yaml')]);
    expect(daemon.all('listening')).toHaveLength(1);
  });

  test('prints nothing on stdout', async () => {
    const daemon = await startDaemon(GOOD);
    await daemon.stop();
    expect(daemon.stdout).toBe('');
  });
});

describe('without -c', () => {
  const named = (name: string): string => `services: {${name}: {listen: "127.0.0.1:0", exec: cat}}\n`;
  const servicesOf = ({ stdout }: Outcome): string[] => Object.keys((parse(stdout) as { services: object }).services);

  test('./services.yaml comes first', () => {
    const folder = folderWith({ 'services.yaml': named('here'), 'config/services.yaml': named('there') });
    expect(servicesOf(run(['print'], folder))).toEqual(['here']);
  });

  test('./config/services.yaml comes next', () => {
    const folder = folderWith({ 'config/services.yaml': named('there') });
    expect(servicesOf(run(['print'], folder))).toEqual(['there']);
  });

  test('a bad first file is told, not passed over', () => {
    const folder = folderWith({ 'services.yaml': BAD, 'config/services.yaml': named('there') });
    expect(run(['check'], folder)).toMatchObject({ status: 78 });
  });
});

describe('print', () => {
  test('prints what loads again and prints the same', () => {
    const folder = folderWith({ 'it.yaml': GOOD });
    const first = run(['print', '-c', 'it.yaml'], folder);
    writeFileSync(join(folder, 'again.yaml'), first.stdout);
    expect(run(['print', '-c', 'again.yaml'], folder)).toEqual(first);
    expect(first).toMatchObject({ status: 0, stderr: '' });
    const { services } = parse(first.stdout) as { services: { echo: { exec: string[]; max_connections: number } } };
    expect(services.echo.exec[0]).toMatch(/^\/.*\/cat$/);
    expect(services.echo.max_connections).toBe(1000);
  });

  test('prints the same as JSON', () => {
    const folder = folderWith({ 'it.yaml': GOOD });
    const [yaml, json] = [run(['print', '-c', 'it.yaml'], folder), run(['print', '-c', 'it.yaml', '--json'], folder)];
    expect(JSON.parse(json.stdout)).toEqual(parse(yaml.stdout));
  });

  test('shows a service that this machine lacks something for as well, and says on stderr what', () => {
    const folder = folderWith({
      'it.yaml': `${GOOD.trim().slice(0, -1)}, web: {listen: 80, exec: no-such-program}}\n`,
    });
    const { status, stdout, stderr } = run(['print', '-c', 'it.yaml'], folder);
    const { services } = parse(stdout) as { services: { web: { exec: string[] } } };
    expect([status, services.web.exec]).toEqual([0, ['no-such-program']]);
    expect(stderr).toContain('there is no program "no-such-program"');
    expect(run(['check', '-c', 'it.yaml'], folder)).toMatchObject({ status: 78 });
  });

  test('exits with 78 for a bad file', () => {
    expect(run(['print', '-c', 'it.yaml'], folderWith({ 'it.yaml': BAD }))).toMatchObject({ status: 78, stdout: '' });
  });
});

describe('explain', () => {
  test('says of each service whether a client may come, and of one that is asked for', () => {
    const yaml =
      'services:\n  web: {listen: 7007, exec: cat, deny: [10.0.0.0/8]}\n  ftp: {listen: 7008, exec: cat, deny_from: list}\n';
    const folder = folderWith({ 'services.yaml': yaml, list: '# some\n10.0.0.5\n' });
    const all = run(['explain', '10.0.0.5'], folder);
    expect(all.stdout).toMatch(
      /^web {2}refused {2}deny 10\.0\.0\.0\/8\nftp {2}refused {2}deny 10\.0\.0\.5 \(.*list:2\)\n$/,
    );
    const one = run(['explain', '10.0.0.5', '--service', 'web', '--json'], folder);
    expect(JSON.parse(one.stdout)).toMatchObject([{ service: 'web', verdict: 'refused', reason: 'address' }]);
    expect([all.status, one.status]).toEqual([0, 0]);
    expect(run(['explain', '10.0.0.5', '--service', 'wbe'], folder)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: 'stdiod: explain: there is no service "wbe" in services.yaml\nremedy: did you mean "web"?\n',
    });
  });
});

describe('try', () => {
  test.each([
    [['try'], 'an address is missing'],
    [['try', '127.0.0.1:0'], 'a command is missing'],
    [['try', '127.0.0.1:0', 'cat'], 'put "--" before the command'],
    [['try', '127.0.0.1:0', '--'], 'a command is missing'],
  ])('%j exits with 2 and says what is missing', (words, message) => {
    const { status, stdout, stderr } = run(words);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  const FROM_CALLER = '    pass_env:\n      - PATH\n    stderr: log\n';

  test('of a port alone says who can reach it, and writes the number as one would', async () => {
    const daemon = await startWords(['try', '0', '--', 'cat']);
    const comment = '# on every address of this machine; 127.0.0.1:0 is for this machine alone';
    expect(daemon.stdout).toBe(`services:\n  try:\n    listen: 0 ${comment}\n    exec:\n      - cat\n${FROM_CALLER}`);
  });

  test('of one address says nothing about others', async () => {
    const daemon = await startWords(['try', '127.0.0.1:0', '--', 'cat']);
    expect(daemon.stdout).toBe(`services:\n  try:\n    listen: 127.0.0.1:0\n    exec:\n      - cat\n${FROM_CALLER}`);
  });

  test('of a program that does not exist exits with 78', () => {
    expect(run(['try', '127.0.0.1:0', '--', 'no-such-program'])).toMatchObject({ status: 78, stdout: '' });
  });
});

describe('the other verbs', () => {
  test('schema prints a JSON Schema of draft-7', () => {
    const { status, stdout } = run(['schema']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ $schema: 'http://json-schema.org/draft-07/schema#' });
  });

  test.each([['version'], ['--version'], ['-V']])('%s prints the version of the package', (word) => {
    const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string };
    expect(run([word])).toMatchObject({ status: 0, stdout: `stdiod ${version}\n`, stderr: '' });
  });

  test('version --json is an object', () => {
    const { stdout } = run(['version', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ node: process.versions.node });
  });

  test.each([[['help']], [['--help']], [['-h']]])('%j names every verb', (words) => {
    const { status, stdout } = run(words);
    expect(status).toBe(0);
    for (const verb of ['run', 'check', 'print', 'try', 'schema', 'version', 'help'])
      expect(stdout).toContain(`stdiod ${verb}`);
  });

  test.each([[['help']], [['help', 'run']]])('%j names the page of the manual', (words) => {
    const [, page = '', verb = ''] = /^Manual: (\S+\.md)(#run)?$/m.exec(run(words).stdout) ?? [];
    expect(readFileSync(page, 'utf8')).toContain(verb === '' ? '# The command line' : '## run');
  });

  test.each(['run', 'check', 'print', 'try', 'schema', 'version'])('help is the same as --help for %s', (verb) => {
    expect(run(['help', verb])).toEqual(run([verb, '--help']));
    expect(run(['help', verb])).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('wrong usage', () => {
  test.each([
    [['chekc'], 'did you mean "check"?'],
    [['run', '--colour'], '--colour'],
    [['--conf', 'services.yaml'], 'did you mean "--config"?'],
    [['help', 'chekc'], 'did you mean "check"?'],
    [['check', '-c'], '-c'],
    [['schema', 'more'], 'more'],
    [['help', 'nothing'], 'nothing'],
  ])('%j exits with 2 and says what to do', (words, message) => {
    const { status, stdout, stderr } = run(words);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});

describe('wrong usage with --json', () => {
  test('is an array on stdout of a verb whose output is data', () => {
    const { status, stdout, stderr } = run(['check', '--json', '--jason']);
    expect([status, stderr]).toEqual([2, '']);
    const message = 'check: there is no option "--jason"';
    expect(JSON.parse(stdout)).toEqual([
      { file: '<the command line>', line: 0, column: 0, path: '', message, remedy: 'did you mean "--json"?' },
    ]);
  });

  test.each([[['run', '--json', 'a', 'b']], [['--json', '-c']], [['try', '--json', '7007']]])(
    'is an event on stderr where events are: %j',
    (words) => {
      const { status, stdout, stderr } = run(words);
      expect([status, stdout]).toEqual([2, '']);
      expect(JSON.parse(stderr)).toMatchObject({ event: 'problem', file: '<the command line>', line: 0 });
      expect(stderr.split('\n')).toHaveLength(2);
    },
  );

  test('is text when --json belongs to the command', () => {
    expect(run(['try', '--', '--json']).stderr).toMatch(/^stdiod: try: an address is missing\n/);
  });
});

describe('colour', () => {
  const onTerminal = fixture('on-terminal.py');
  const ESCAPE = '\u001b';

  function checkOnTerminal(env: Readonly<Record<string, string>>): string {
    const folder = folderWith({ 'it.yaml': BAD });
    const args = [onTerminal, process.execPath, main, 'check', '-c', 'it.yaml'];
    const terminal = { ...process.env, NO_COLOR: '', FORCE_COLOR: '', TERM: 'xterm' };
    return spawnSync('python3', args, { cwd: folder, encoding: 'utf8', env: { ...terminal, ...env } }).stderr;
  }

  test('is for terminals', () => {
    expect(checkOnTerminal({})).toContain(ESCAPE);
    expect(run(['check', '-c', 'it.yaml'], folderWith({ 'it.yaml': BAD })).stderr).not.toContain(ESCAPE);
  });

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('is not used with %j', (env) => {
    const stderr = checkOnTerminal(env);
    expect(stderr).toContain('services.echo.listen');
    expect(stderr).not.toContain(ESCAPE);
  });
});
