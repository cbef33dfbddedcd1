// How the tests of services/ give a program its socket: a connection of its own, or, as under `wait`, the socket that all
// clients come to. And a UDP client that can tell that it was not answered.

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { project } from './harness';

export const asRoot = process.getuid?.() === 0 ? it : it.skip;

export interface End {
  status: number | null;
  stderr: string;
}

/** Everything that a test has opened and that is to be closed after it. */
const openThings: (() => void)[] = [];

export function closeEverything(): void {
  for (const close of openThings.splice(0)) close();
}

/** Hands a socket to one run of the command, as soon as something is in its queue. */
export async function handOver(
  kind: 'tcp' | 'udp' | 'unix-dgram',
  address: string,
  command: string[],
): Promise<{ port: number; ended: Promise<End> }> {
  const script = join(project, 'test/services/handover.py');
  const child = spawn('python3', [script, kind, address, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // so that the command, which is a child of the script, can be ended with it
  });
  openThings.push(() => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  const ended = endOf(child);
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { port: Number(port), ended };
}

/** Runs the command on one connection and returns the other end of it. */
export async function converse(command: string[]): Promise<{ client: Socket; ended: Promise<End> }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ ...(server.address() as { port: number }), host: '127.0.0.1', allowHalfOpen: true });
  const [connection] = (await once(server, 'connection')) as [Socket];
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: [connection, connection, 'pipe'] });
  openThings.push(() => {
    client.destroy();
    child.kill('SIGKILL');
  });
  connection.destroy(); // the child holds it now
  server.close();
  return { client, ended: endOf(child) };
}

async function endOf(child: ChildProcess): Promise<End> {
  const [stderr] = await Promise.all([text(child.stderr as NodeJS.ReadableStream), once(child, 'close')]);
  return { status: child.exitCode, stderr };
}

export interface Datagram {
  bytes: Buffer;
  from: string;
}

/** A UDP socket with everything that has come to it. */
export class Peer {
  private readonly arrived: Datagram[] = [];
  private wake: () => void = () => undefined;

  private constructor(
    readonly socket: UdpSocket,
    readonly address: string,
  ) {
    socket.on('message', (bytes, from) => {
      this.arrived.push({ bytes, from: from.address });
      this.wake();
    });
    openThings.push(() => {
      socket.close();
    });
  }

  static async open(address = '127.0.0.1', port = 0): Promise<Peer> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4').bind(port, address);
    await once(socket, 'listening');
    return new Peer(socket, address);
  }

  get port(): number {
    return this.socket.address().port;
  }

  async send(payload: string | Buffer, port: number, address = this.address): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.send(payload, port, address, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** The next datagram that has come or will come. */
  async next(): Promise<Datagram> {
    for (;;) {
      const first = this.arrived.shift();
      if (first) return first;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async ask(payload: string | Buffer, port: number, address = this.address): Promise<Datagram> {
    await this.send(payload, port, address);
    return await this.next();
  }

  /** Everything that lies in the socket's queue by now: it ends with a datagram to ourselves. */
  async everything(): Promise<Buffer[]> {
    const mark = `mark ${Math.random()}`;
    await this.send(mark, this.port);
    const all: Buffer[] = [];
    for (;;) {
      const { bytes } = await this.next();
      if (bytes.toString() === mark) return all;
      all.push(bytes);
    }
  }
}
