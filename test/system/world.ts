/**
 * A daemon with a service of every kind, and clients for all of them: whatever fails, each kind has to be served again, and
 * no client is left without an answer or an end.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { LOCALHOST } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { datagramClient, type DatagramClient } from './datagram-client';
import { atEnd } from './endings';
import { fixture, makeFolder } from './fixtures';
import { untilTrue } from './until';

export interface World {
  readonly daemon: Daemon;
  readonly yaml: string;
  /** Clients of every kind come, whether they are served or not. */
  readonly visit: () => Promise<void>;
  /** Each kind answers, and whoever came before has at least seen an end. */
  readonly expectService: () => Promise<void>;
}

export async function startWorld(options: DaemonOptions = {}): Promise<World> {
  const path = join(makeFolder(), 'socket');
  const yaml = configurationOf(path, await startTarget());
  const daemon = await startDaemon(yaml, options);
  const tcp = ['exec', 'quiet', 'lent', 'redirect'].map(
    (kind) => new Caller({ port: daemon.port(kind), host: LOCALHOST }),
  );
  const mux = { port: daemon.port('mux'), host: LOCALHOST };
  const choosers = [new Caller(mux, 'plain\r\n'), new Caller(mux, 'nowhere\r\n', '-Service not available\r\n')];
  const callers = [...tcp, new Caller({ path }), ...choosers];
  const senders = await Promise.all(['datagram', 'builtin'].map((kind) => startSender(daemon.port(kind))));
  const everybody = [...callers, ...senders];
  return {
    daemon,
    yaml,
    visit: async () => {
      await Promise.all(everybody.map((one) => one.visit()));
    },
    expectService: async () => {
      await Promise.all(everybody.map((one) => one.expectAnswer()));
      const waiting = (): number => callers.reduce((sum, { open }) => sum + open, 0);
      await untilTrue('nobody waits any more', () => waiting() === 0);
    },
  };
}

function configurationOf(path: string, target: number): string {
  const one = fixture('serves-one.c');
  return `defaults: {stop_grace: 100ms}
services:
  exec: {listen: "127.0.0.1:0", exec: cat}
  quiet: {listen: "127.0.0.1:0", exec: cat, stderr: null}
  unix: {listen: "unix:${path}", exec: cat, socket: {mode: "0666"}}
  lent: {listen: "127.0.0.1:0", exec: ${one}, wait: true}
  datagram: {listen: "127.0.0.1:0/udp", exec: ${one}, wait: true}
  builtin: {listen: "127.0.0.1:0/udp", builtin: echo}
  redirect: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${target}"}
  mux: {listen: "127.0.0.1:0", builtin: tcpmux}
  plain: {tcpmux: true, exec: cat}
`;
}

/** Sends back what comes. @returns its port */
async function startTarget(): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined).pipe(socket);
  });
  atEnd(() => {
    server.close();
  });
  server.listen(0, LOCALHOST);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** One client after the other, each with a connection of its own. */
class Caller {
  readonly #where: NetConnectOpts;
  readonly #greeting: string;
  readonly #answer: string;
  /** Connections that have not ended. */
  open = 0;

  /** @param answer in place of what was sent behind the greeting */
  constructor(where: NetConnectOpts, greeting = '', answer = 'still there') {
    this.#where = where;
    this.#greeting = greeting;
    this.#answer = answer;
  }

  visit(): Promise<void> {
    void this.#ask('hello');
    return Promise.resolve();
  }

  async expectAnswer(): Promise<void> {
    const where = JSON.stringify(this.#where);
    await untilTrue(`an answer from ${where}`, async () => (await this.#ask('still there')) === this.#answer);
  }

  /** @returns all that came before the end, or before a reset */
  #ask(text: string): Promise<string> {
    this.open += 1;
    return new Promise((resolve) => {
      let answer = '';
      const socket = connect({ ...this.#where, allowHalfOpen: true });
      atEnd(() => {
        socket.destroy();
      });
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => (answer += chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.open -= 1;
        resolve(answer);
      });
      socket.end(this.#greeting + text, 'latin1');
    });
  }
}

async function startSender(port: number): Promise<Sender> {
  return new Sender(await datagramClient(), port);
}

/** One datagram after the other. */
class Sender {
  readonly #client: DatagramClient;
  readonly #port: number;
  #count = 0;

  constructor(client: DatagramClient, port: number) {
    this.#client = client;
    this.#port = port;
  }

  visit(): Promise<void> {
    return this.#client.send('hello', this.#port);
  }

  /** Datagrams may be lost, so it asks until one comes back. */
  async expectAnswer(): Promise<void> {
    const text = `still there ${(this.#count += 1)}`;
    await untilTrue(`an answer from port ${this.#port}`, async () => {
      await this.#client.send(text, this.#port);
      return this.#client.received.some((answer) => answer.toString() === text);
    });
  }
}
