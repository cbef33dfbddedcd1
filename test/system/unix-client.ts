/**
 * Clients of Unix sockets: those that Node has, and a small program for the kinds that it has not.
 */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { atEnd } from './endings';
import { fixture } from './fixtures';

export type UnixKind = 'stream' | 'dgram' | 'seqpacket';

/** What each text is answered, one client for all of them. @param path or `@name` */
export async function askUnix(kind: UnixKind, path: string, ...texts: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)('python3', [fixture('asks-unix.py'), kind, path, ...texts]);
  return stdout.trimEnd().split('\n');
}

/** Says nothing, and stays. */
export async function connectUnix(path: string): Promise<Socket> {
  const socket = connect({ path: nodePath(path), allowHalfOpen: true });
  atEnd(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return socket;
}

/** Sends, says that there is no more, and returns all that comes back. */
export async function exchangeUnix(path: string, input = ''): Promise<string> {
  return restOf(await connectUnix(path), input);
}

export function restOf(socket: Socket, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(text);
    });
    // Even an empty write would fail (EPIPE) where the other side has left already, which an end need not.
    if (input === '') socket.end();
    else socket.end(input, 'latin1');
  });
}

function nodePath(path: string): string {
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}
