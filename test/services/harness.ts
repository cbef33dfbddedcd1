// How the tests of services/ run a program: on pipes, as a shell would, or on a real connection, as a super-server would.
// stdiod itself takes no part in it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer, text } from 'node:stream/consumers';

export const project = findProject(__dirname);

export const script = (name: string): string[] => [join(project, 'services', name)];
export const compiled = (name: string): string[] => [join(project, 'dist/services', name)];
export const typescript = (name: string): string[] => [process.execPath, join(project, 'dist/services', name)];

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** The loopback addresses, each with the `it` to use for it. */
export const loopbacks = [
  { address: '127.0.0.1', family: 'IPv4', test: it },
  { address: '::1', family: 'IPv6', test: hasIPv6 ? it : it.skip },
];

export interface Outcome {
  stdout: string;
  stderr: string;
  status: number | null;
}

/** Runs a command with pipes and waits for its end. */
export async function runOnPipes(command: string[], input: string | Buffer, env = process.env): Promise<Outcome> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env });
  child.stdin.on('error', () => undefined); // it may end without having read everything
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { stdout, stderr, status: child.exitCode };
}

export interface Host {
  port: number;
  stop: () => Promise<void>;
}

/** Serves a command on a port of its own, one process for each connection. */
export async function serve(command: string[], address = '127.0.0.1'): Promise<Host> {
  const inetd = spawn('python3', [join(project, 'test/services/inetd.py'), address, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface(inetd.stdout), 'line')) as [string];
  const stop = async (): Promise<void> => {
    inetd.kill();
    await once(inetd, 'exit');
  };
  return { port: Number(port), stop };
}

/** Connects, sends the input, says that there is no more, and returns all that comes back. A reset rejects. */
export async function talk(port: number, input: string | Buffer, address = '127.0.0.1'): Promise<Buffer> {
  const client = connect(port, address);
  client.end(input);
  return await buffer(client);
}

/** Connects, sends the input and goes no further: the caller decides what happens then. */
export async function open(port: number, input: string | Buffer, address = '127.0.0.1'): Promise<Socket> {
  const client = connect(port, address);
  await once(client, 'connect');
  client.write(input);
  return client;
}

function findProject(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findProject(dirname(folder));
}
