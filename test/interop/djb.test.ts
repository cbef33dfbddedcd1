/**
 * Programs made for tcpserver, and those that set something up and become the rest of their command line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from '../system/client';
import { startDaemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf } from './client-program';
import { oneService } from './configure';
import { makeTestFolder } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

testNeeding('tcpclient')('tcpclient talks to a service on its descriptors 6 and 7', async () => {
  const daemon = await startDaemon(oneService(['cat']));
  const talk = ['sh', '-c', 'echo hello >&7; read -r answer <&6; echo "$answer"'];
  expect(await outputOf(['tcpclient', '-RHl0', '127.0.0.1', String(daemon.port()), ...talk])).toBe('hello\n');
});

testNeeding('recordio')('recordio stands between the client and its program', async () => {
  const daemon = await startDaemon(oneService(['recordio', 'tr', 'a-z', 'A-Z'], { stderr: null }));
  expect(await exchange(daemon.port(), 'hello\n')).toBe('HELLO\n');
});

testNeeding('rblsmtpd')('rblsmtpd turns a client away that TCPREMOTEIP names', async () => {
  const exec = ['rblsmtpd', 'sh', '-c', 'echo 220 welcome'];
  const daemon = await startDaemon(oneService(exec, { stderr: null, env: { RBLSMTPD: '-go away' } }));
  const client = await connectTo(daemon.port());
  expect(await client.line()).toContain('220 rblsmtpd.local');
  await client.ask('HELO me\r');
  await client.ask('MAIL FROM:<>\r');
  expect(await client.ask('RCPT TO:<you@example.org>\r')).toContain('553 go away');
});

testNeeding('rblsmtpd')('rblsmtpd lets a client pass that the environment excepts', async () => {
  const exec = ['rblsmtpd', 'sh', '-c', 'echo "220 welcome $TCPREMOTEIP"'];
  const daemon = await startDaemon(oneService(exec, { env: { RBLSMTPD: '' } }));
  expect(await exchange(daemon.port(), '')).toBe('220 welcome 127.0.0.1\n');
});

testNeeding('envdir', 'softlimit')('a chain of envdir, softlimit and a shell hands the connection on', async () => {
  const folder = makeTestFolder();
  writeFileSync(join(folder, 'COLOUR'), 'green\n');
  const exec = ['envdir', folder, 'softlimit', '-o', '64', 'sh', '-c', 'echo "$COLOUR $(ulimit -n) $TCPREMOTEIP"'];
  const daemon = await startDaemon(oneService(exec));
  expect(await exchange(daemon.port(), '')).toBe('green 64 127.0.0.1\n');
});

testNeeding('root', 'setuidgid')('setuidgid gives up the root that its service has', async () => {
  const daemon = await startDaemon(oneService(['setuidgid', 'nobody', 'id', '-un'], { user: 'root' }));
  expect(await exchange(daemon.port(), '')).toBe('nobody\n');
});
