/**
 * `vsock:` sockets, where the kernel lets a machine talk to itself.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { launchDaemon, startDaemon } from './daemon';
import { endAll } from './endings';
import { untilTrue } from './until';

afterEach(endAll);

const LOCAL = 1;
/** A number of 32 bits: this process has one for itself. */
const PORT = 0x2000_0000 + process.pid;

/** Sends `hello` to a port of this machine and prints what comes back. */
const CLIENT = `
import socket, sys
client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
client.settimeout(20)
client.connect((${LOCAL}, int(sys.argv[1])))
client.sendall(b"hello\\n")
client.shutdown(socket.SHUT_WR)
sys.stdout.write(client.makefile().read())
`;

/** Without the loopback transport even an address that nobody listens on cannot be asked for. */
const PROBE = `
import errno, socket, sys
ours = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
ours.bind((socket.VMADDR_CID_ANY, ${PORT}))
ours.listen(1)
socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((${LOCAL}, ${PORT}))
`;

const hasVsock = spawnSync('python3', ['-c', PROBE]).status === 0;
/** Which promise can be kept is up to the kernel: no package brings the loopback transport. */
const [testServed, testListening] = hasVsock ? [test, null] : [null, test];

testListening?.('a vsock service listens where the machine cannot talk to itself, or says why it cannot', async () => {
  const daemon = launchDaemon(`services: {it: {listen: "vsock:${PORT}", exec: cat}}\n`);
  await untilTrue(
    'the daemon decides',
    () => daemon.all('listening').length > 0 || /vsock:\d+ .*E[A-Z]+/.test(daemon.stderr),
  );
});

testServed?.('a vsock connection is served, and the program is told who it is', async () => {
  const daemon = await startDaemon(`services: {it: {listen: "vsock:${PORT}", exec: [sh, -c, 'env; cat']}}\n`);
  const answer = execFileSync('python3', ['-c', CLIENT, String(PORT)], { encoding: 'utf8' });
  expect(answer).toContain('PROTO=VSOCK\n');
  expect(answer).toContain(`REMOTE_ADDR=${LOCAL}\n`);
  expect(answer).toMatch(/hello\n$/);
  expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
  expect(daemon.all('listening')).toMatchObject([{ address: `vsock:${PORT}` }]);
});
