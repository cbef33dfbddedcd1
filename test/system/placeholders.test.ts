/**
 * Placeholders in `exec`, `env` and `directory`: filled in for each connection, and never read by a shell.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { launchDaemon, startDaemon } from './daemon';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { testIpv6 } from './machine';

afterEach(endAll);

const ALL = ['peer.address', 'peer.port', 'local.address', 'local.port', 'service', 'connection', 'fd'];

function serve(exec: readonly string[], more = '', listen = '127.0.0.1:0'): string {
  return `services: {it: {listen: "${listen}", exec: ${JSON.stringify(exec)}, ${more}}}\n`;
}

const words = ALL.map((name) => `%{${name}}`).join(' ');

test('each stands for its fact, anew for each connection', async () => {
  const daemon = await startDaemon(serve(['echo', words]));
  for (let round = 0; round < 3; round += 1) {
    const client = await connectTo(daemon.port());
    const peer = client.address;
    const line = await client.line();
    const { connection } = await daemon.waitFor('accepted', { peer });
    const [host, port] = peer.split(':');
    expect(line.split(' ')).toEqual([host, port, '127.0.0.1', String(daemon.port()), 'it', connection, '0']);
  }
});

testIpv6('an IPv6 address stands there without brackets', async () => {
  const daemon = await startDaemon(serve(['echo', '%{peer.address} %{local.address}'], '', '[::1]:0'));
  expect(await exchange(daemon.port(), '', '::1')).toBe('::1 ::1\n');
});

test('they stand in variables, beside text, and %% is a percent sign', async () => {
  const daemon = await startDaemon(serve(['env'], 'env: {WHERE: "<%{local.port}>", RATE: "100%%{fd}"}'));
  const lines = (await exchange(daemon.port(), '')).split('\n');
  expect(lines).toEqual(expect.arrayContaining([`WHERE=<${daemon.port()}>`, 'RATE=100%{fd}']));
});

test('a directory may depend on the service, and has to be there', async () => {
  const folder = makeFolder();
  mkdirSync(join(folder, 'it'));
  const daemon = await startDaemon(serve(['pwd'], `directory: "${folder}/%{service}"`));
  expect(await exchange(daemon.port(), '')).toBe(`${folder}/it\n`);
  await daemon.reload(serve(['pwd'], `directory: "${folder}/%{connection}"`));
  const client = await connectTo(daemon.port());
  await client.rest().catch(() => undefined);
  expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'chdir', error: 'ENOENT' });
});

test('%{fd} is a descriptor that the program can use', async () => {
  const program = 'import socket, sys; socket.socket(fileno=int(sys.argv[1])).sendall(b"hello\\n")';
  const daemon = await startDaemon(serve(['python3', '-c', program, '%{fd}']));
  expect(await exchange(daemon.port(), '')).toBe('hello\n');
});

/** Connects under an abstract name and prints all that it is told. */
const NAMED_CLIENT = `
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
client.bind("\\0" + sys.argv[2])
client.connect(sys.argv[1])
sys.stdout.write(client.makefile().read())
`;

test('what a client calls itself stays one word, whatever is in it', async () => {
  const folder = makeFolder();
  chmodSync(folder, 0o777); // so that the service's user could leave its proof
  const [path, proof] = [join(folder, 'socket'), join(folder, 'proof')];
  const hostile = `$(touch ${proof}) ; touch ${proof} %{fd} %n "'`;
  const yaml = `services: {it: {listen: "unix:${path}", exec: [sh, -c, 'printf "<%%s>\\n" "$@"', sh, "%{peer.address}", "%{service}"]}}\n`;
  await startDaemon(yaml);
  const answer = execFileSync('python3', ['-c', NAMED_CLIENT, path, hostile], { encoding: 'utf8' });
  expect(answer).toBe(`<@${hostile}>\n<it>\n`);
  expect(existsSync(proof)).toBe(false);
});

test.each(['%{peer}', '%{PEER.ADDRESS}', '%d', '100%', '%{'])('%j is refused when the file is loaded', async (word) => {
  const daemon = launchDaemon(serve(['echo', word]));
  expect(await daemon.ended()).toBe(78);
});

test('under wait they speak of the socket, and a peer is refused', async () => {
  const more = 'wait: true, pass_env: [PATH], stderr: null, stop_grace: 100ms';
  const yaml = serve([fixture('accepts.py')], `${more}, env: {WHERE: "%{local.address} %{local.port} %{fd}"}`);
  const daemon = await startDaemon(yaml);
  const facts = JSON.parse(await (await connectTo(daemon.port())).ask('facts')) as { environment: object };
  expect(facts.environment).toMatchObject({ WHERE: `127.0.0.1 ${daemon.port()} 0` });
  const wrong = launchDaemon(serve([fixture('accepts.py'), '%{peer.port}'], more));
  expect(await wrong.ended()).toBe(78);
});
