// redirect over connections and pipes: where it goes, what it carries, and how it ends.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compiled, loopbacks, project, runOnPipes } from './harness';
import { closeEverything, converse } from './sockets';

const redirect = (target: string): string[] => [...compiled('redirect'), target];
const quietEnd = { status: 0, stderr: '' };
const MANY = 20_000_000;

const folder = mkdtempSync(join(tmpdir(), 'stdiod-redirect-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const servers: Server[] = [];
const processes: ChildProcess[] = [];
afterEach(() => {
  closeEverything();
  for (const server of servers.splice(0)) server.close();
  for (const each of processes.splice(0)) each.kill('SIGKILL');
});

/** Listens, on a port of its own unless a path is given; returns the port. */
async function target(onSocket: (socket: Socket) => void, where: ListenOptions = { host: '127.0.0.1', port: 0 }) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  servers.push(server);
  await once(server.listen(where), 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** What a server's next connection is. */
function nextSocket(): { take: (socket: Socket) => void; taken: Promise<Socket> } {
  let take: (socket: Socket) => void = () => undefined;
  const taken = new Promise<Socket>((resolve) => (take = resolve));
  return {
    take: (socket) => {
      take(socket);
    },
    taken,
  };
}

/** All that a socket still has to say; the way to it stays open. */
async function restOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

async function answerOf(socket: Socket, question: string): Promise<string> {
  socket.write(question);
  return String(((await once(socket, 'data')) as [Buffer])[0]);
}

async function errorOf(socket: Socket): Promise<unknown> {
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  return error.code;
}

describe('the target', () => {
  describe.each(loopbacks)('over $family', ({ address, test }) => {
    test('may be an address', async () => {
      const port = await target(echo, { host: address, port: 0 });
      const name = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      const { client, ended } = await converse(redirect(name));
      client.end('hello');
      expect(String(await restOf(client))).toBe('hello');
      expect(await ended).toEqual(quietEnd);
    });
  });

  it('may be a name, of whose addresses each is tried', async () => {
    const port = await target(echo);
    const { client } = await converse(redirect(`localhost:${port}`));
    client.end('hello');
    expect(String(await restOf(client))).toBe('hello');
  });

  it.each([
    ['path', join(folder, 'socket'), join(folder, 'socket')],
    // As long as it may be: Node fills up a shorter one with NULs.
    ['abstract name', `\0${String(process.pid).padEnd(107, 'x')}`, `@${String(process.pid).padEnd(107, 'x')}`],
  ])('may be the %s of a Unix socket', async (_kind, path, name) => {
    await target(echo, { path });
    const { client, ended } = await converse(redirect(`unix:${name}`));
    client.end('hello');
    expect(String(await restOf(client))).toBe('hello');
    expect(await ended).toEqual(quietEnd);
  });

  it('that is down is told in one line, and the client sees an end, whatever it has sent', async () => {
    const { client, ended } = await converse(redirect('127.0.0.1:1'));
    client.write('early');
    const rest = restOf(client);
    expect(await ended).toEqual({ status: 69, stderr: 'redirect: connect 127.0.0.1:1: Connection refused\n' });
    expect(String(await rest)).toBe('');
  });

  it('whose Unix socket is not there is told in the same way', async () => {
    const name = `unix:${folder}/nosuch`;
    const stderr = `redirect: connect ${name}: No such file or directory\n`;
    expect(await runOnPipes(redirect(name), '')).toEqual({ stdout: '', stderr, status: 69 });
  });

  it('whose name stands for nothing has a status of its own', async () => {
    const { status, stderr } = await runOnPipes(redirect('no-such-host.invalid:80'), '');
    expect(stderr).toMatch(/^redirect: resolve no-such-host\.invalid: .+\n$/);
    expect(status).toBe(68);
  });

  it.each([
    '',
    'localhost',
    'localhost:0',
    'localhost:65536',
    'localhost:http',
    '::1:80',
    ':80',
    'unix:',
    'unix:@',
    '-x',
  ])('is not %j', async (name) => {
    expect((await runOnPipes(redirect(name), '')).status).toBe(2);
  });

  it('has a name for as many bytes as the kernel has room for, and no more', async () => {
    for (const [length, status] of [
      [107, 69],
      [108, 2],
    ] as const) {
      const path = `/${'x'.repeat(length - 1)}`;
      expect((await runOnPipes(redirect(`unix:${path}`), '')).status).toBe(status);
      expect((await runOnPipes(redirect(`unix:@${path}`), '')).status).toBe(status);
    }
  });
});

describe('bytes', () => {
  it('go both ways, 20 MB each at once, without a difference', async () => {
    const [request, answer] = [randomBytes(MANY), randomBytes(MANY)];
    let arrived: Promise<Buffer> | undefined;
    const port = await target((socket) => {
      arrived = restOf(socket);
      socket.end(answer);
    });
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    client.end(request);
    expect((await restOf(client)).equals(answer)).toBe(true);
    expect((await arrived)?.equals(request)).toBe(true);
    expect(await ended).toEqual(quietEnd);
  });

  it('go through pipes as well, and not a NUL is said on a stderr that is a pipe', async () => {
    const port = await target(echo);
    const bytes = 'x'.repeat(1_000_000);
    expect(await runOnPipes(redirect(`127.0.0.1:${port}`), bytes)).toEqual({ ...quietEnd, stdout: bytes });
  });

  it('go from a file into one that is appended to', async () => {
    const port = await target(echo);
    const input = join(folder, 'input');
    const bytes = randomBytes(300_001);
    writeFileSync(input, bytes);
    const script = '"$@" < "$0" >> "$0".out';
    writeFileSync(`${input}.out`, 'before');
    await runOnPipes(['/bin/sh', '-c', script, input, ...redirect(`127.0.0.1:${port}`)], '');
    expect(readFileSync(`${input}.out`).equals(Buffer.concat([Buffer.from('before'), bytes]))).toBe(true);
  });

  it('that come one by one go on one by one', async () => {
    const port = await target(echo);
    const { client } = await converse(redirect(`127.0.0.1:${port}`));
    for (const each of ['one', 'two', 'three']) {
      expect(await answerOf(client, each)).toBe(each);
    }
  });
});

describe('an end', () => {
  it('of the client leaves the way back open', async () => {
    const next = nextSocket();
    const port = await target(next.take);
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    client.end('question');
    const socket = await next.taken;
    expect(String(await restOf(socket))).toBe('question');
    socket.end('answer');
    expect(String(await restOf(client))).toBe('answer');
    expect(await ended).toEqual(quietEnd);
  });

  it('of the target leaves the way there open', async () => {
    const next = nextSocket();
    const port = await target(next.take);
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    const socket = await next.taken;
    socket.end('greeting');
    expect(String(await restOf(client))).toBe('greeting');
    client.end('still here');
    expect(String(await restOf(socket))).toBe('still here');
    expect(await ended).toEqual(quietEnd);
  });

  it('that the target makes by a reset is a reset for the client', async () => {
    const port = await target((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    const error = errorOf(client.resume());
    client.write('go');
    expect(await error).toBe('ECONNRESET');
    expect(await ended).toEqual({ status: 1, stderr: 'redirect: lost the target: Connection reset by peer\n' });
  });

  it('that the client makes by a reset is a reset for the target', async () => {
    const next = nextSocket();
    const port = await target((socket) => {
      next.take(socket);
      socket.write('go');
    });
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    const error = errorOf((await next.taken).resume());
    await once(client, 'data');
    client.resetAndDestroy();
    expect(await error).toBe('ECONNRESET');
    expect(await ended).toEqual({ status: 1, stderr: 'redirect: lost the client: Connection reset by peer\n' });
  });

  it('by a reset is noticed while nothing can be delivered', async () => {
    const next = nextSocket();
    const port = await target((socket) => {
      next.take(socket.pause());
    });
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    await next.taken;
    client.write(Buffer.alloc(MANY));
    await untilStalled(client);
    client.resetAndDestroy();
    expect(await ended).toMatchObject({ status: 1 });
  });

  it('of a reader of stdout ends it', async () => {
    const port = await target((socket) => {
      socket.write('one\ntwo\n');
    });
    const script = '{ "$@"; echo $? >&2; } < /dev/zero | head -1';
    const { stderr } = await runOnPipes(['/bin/sh', '-c', script, 'sh', ...redirect(`127.0.0.1:${port}`)], '');
    expect(stderr).toMatch(/^(redirect: lost the client: Broken pipe\n)?1\n$/);
  });

  it('is what SIGTERM makes, as of a program that does not know the signal', async () => {
    const next = nextSocket();
    const port = await target(next.take);
    const child = spawn('/bin/sh', ['-c', 'exec "$@"', 'sh', ...redirect(`127.0.0.1:${port}`)]);
    processes.push(child);
    await next.taken;
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
  });
});

/** Until the kernel has taken no more of what was written for a while. That it then would, changes nothing. */
async function untilStalled(socket: Socket): Promise<void> {
  for (let before = -1; before !== socket.bytesWritten - socket.writableLength;) {
    before = socket.bytesWritten - socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('while the target does not answer', () => {
  const LEFT = 'redirect: lost the client: it left before the target answered\n';

  async function acceptLate(): Promise<{ port: number; accept: () => void }> {
    const child = spawn('python3', [join(project, 'test/services/accepts-late.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    processes.push(child);
    const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
    return { port: Number(port), accept: () => child.stdin.end('now\n') };
  }

  /** A row of /proc/net/tcp with these ends and this state. */
  async function untilRow(pattern: RegExp): Promise<void> {
    while (!pattern.test(readFileSync('/proc/net/tcp', 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  function hex(port = 0): string {
    return port.toString(16).toUpperCase().padStart(4, '0');
  }

  /** Somebody has sent the first packet to this port, and has no answer. */
  const untilKnocking = (port: number): Promise<void> => untilRow(new RegExp(`:${hex(port)} 02 `));
  /** The end that the client has sent is there. */
  const untilHalfClosed = ({ localPort }: Socket): Promise<void> => untilRow(new RegExp(`:${hex(localPort)} 08 `));

  it('a client that resets ends it', async () => {
    const { port } = await acceptLate();
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    client.write('early');
    await untilKnocking(port);
    client.resetAndDestroy();
    expect(await ended).toEqual({ status: 1, stderr: LEFT });
  });

  it('a client that has ended its own direction waits on', async () => {
    const { port, accept } = await acceptLate();
    const { client, ended } = await converse(redirect(`127.0.0.1:${port}`));
    client.end('early');
    await untilKnocking(port);
    await untilHalfClosed(client);
    accept();
    expect(String(await restOf(client))).toBe('early');
    expect(await ended).toEqual(quietEnd);
  });

  it('somebody who reads stdout no more ends it, and the end of stdin does not', async () => {
    const { port } = await acceptLate();
    const [program = '', ...words] = redirect(`127.0.0.1:${port}`);
    const child = spawn(program, words);
    processes.push(child);
    child.stdin.end();
    await untilKnocking(port);
    expect(child.exitCode).toBeNull();
    child.stdout.destroy();
    expect(await once(child, 'exit')).toEqual([1, null]);
  });
});

const itWithStrace = hasStrace() ? it : it.skip;

itWithStrace('a target that takes too long has a status of its own (needs strace)', async () => {
  const trace = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=connect:error=ETIMEDOUT'];
  const { status, stderr } = await runOnPipes([...trace, ...redirect('127.0.0.1:1')], '');
  expect([status, stderr]).toEqual([75, 'redirect: connect 127.0.0.1:1: Connection timed out\n']);
});

function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-qq', '-o', '/dev/null', 'true']);
    return true;
  } catch {
    return false;
  }
}
