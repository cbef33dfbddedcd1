// whoami: four languages, one answer.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { compiled, loopbacks, runOnPipes, script, serve, typescript } from './harness';

const languages = [
  { language: 'C', command: compiled('whoami') },
  { language: 'Python', command: script('whoami.py') },
  { language: 'shell', command: script('whoami.sh') },
  { language: 'TypeScript', command: typescript('whoami.js') },
];
const complaint = 'whoami: stdin is not a connection from an Internet client\n';

describe.each(languages)('whoami in $language', ({ command }) => {
  for (const { address, family, test } of loopbacks) {
    test(`tells a client its own address and port, ours, and the family, over ${family}`, async () => {
      const host = await serve(command, address);
      const client = connect(host.port, address);
      await once(client, 'connect');
      const { localPort = 0 } = client;
      const answer = (await buffer(client)).toString();
      expect(answer).toBe(
        `client ${address} port ${localPort}\nserver ${address} port ${host.port}\nfamily ${family}\n`,
      );
      await host.stop();
    });
  }

  it('says so when stdin is a pipe', async () => {
    expect(await runOnPipes(command, '')).toEqual({ stdout: '', stderr: complaint, status: 1 });
  });

  it('says so when stdin is /dev/null', async () => {
    const outcome = await runOnPipes(['/bin/sh', '-c', '"$@" </dev/null', 'sh', ...command], '');
    expect(outcome).toEqual({ stdout: '', stderr: complaint, status: 1 });
  });

  it('says so when stdin is closed', async () => {
    const outcome = await runOnPipes(['/bin/sh', '-c', '"$@" <&-', 'sh', ...command], '');
    expect(outcome).toEqual({ stdout: '', stderr: complaint, status: 1 });
  });

  it('says so when the client is on a Unix socket', async () => {
    const server = createServer({ pauseOnConnect: true }).listen(`\0stdiod-whoami-${process.pid}`);
    const client = connect(`\0stdiod-whoami-${process.pid}`);
    const [connection] = (await once(server, 'connection')) as [Socket];
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: [connection, 'pipe', 'pipe'], env: { ...process.env, PROTO: 'UNIX' } });
    expect((await buffer(child.stderr as NodeJS.ReadableStream)).toString()).toBe(complaint);
    client.destroy();
    connection.destroy();
    server.close();
  });
});
