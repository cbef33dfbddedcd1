/**
 * Clients that a test drives by hand. An end that one side sends leaves the other way open, as TCP has it.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { atEnd } from './endings';
import { until, untilTrue } from './until';

export const LOCALHOST = '127.0.0.1';
/** Only ends a test that has failed already. */
const PATIENCE_MS = 90_000;

export class Client {
  readonly socket: Socket;
  /** Everything received so far that was not taken by `line`. */
  text = '';
  /** The other side sent its end. */
  hasEnd = false;
  error: Error | null = null;

  constructor(port: number, host: string) {
    this.socket = connect({ port, host, allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => {
      this.text += chunk;
    });
    this.socket.on('end', () => (this.hasEnd = true));
    this.socket.on('error', (error) => (this.error = error));
    atEnd(() => {
      this.socket.destroy();
    });
  }

  /** `127.0.0.1:51034`, as the events write it. */
  get address(): string {
    const { localAddress = '', localPort = 0 } = this.socket;
    return localAddress.includes(':') ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Says that there is no more to come. */
  end(): void {
    this.socket.end();
  }

  /** Leaves with a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Takes the next line. */
  async line(): Promise<string> {
    const at = await until(
      () => `a line, got ${JSON.stringify(this.text)} ${this.error?.message ?? ''}`,
      () => this.#endOfLine(),
    );
    const line = this.text.slice(0, at);
    this.text = this.text.slice(at + 1);
    return line;
  }

  /** Sends a line and takes the next one. */
  async ask(line: string): Promise<string> {
    this.send(`${line}\n`);
    return this.line();
  }

  /** Waits for the other side's end; a reset rejects. */
  async rest(): Promise<string> {
    await untilTrue('the end of a connection', () => {
      if (!this.hasEnd && this.error !== null) throw this.error;
      return this.hasEnd;
    });
    return this.text;
  }

  #endOfLine(): number | undefined {
    if (this.text.includes('\n')) return this.text.indexOf('\n');
    if (this.error !== null) throw this.error;
    if (this.hasEnd) throw new Error(`the connection ended after ${JSON.stringify(this.text)}`);
    return undefined;
  }
}

export async function connectTo(port: number, host = LOCALHOST): Promise<Client> {
  const client = new Client(port, host);
  await once(client.socket, 'connect');
  return client;
}

/** What it sent lies in the kernel's queue when this returns. */
export async function clientThatSent(port: number, text: string): Promise<Client> {
  const client = await connectTo(port);
  await new Promise((resolve) => client.socket.write(text, 'latin1', resolve));
  return client;
}

/** Connects, sends, says that there is no more, and returns all that comes back. A reset rejects. */
export function exchange(port: number, input: string, host = LOCALHOST): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host, allowHalfOpen: true });
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no answer from ${host}:${port}`)));
    socket.on('close', () => {
      resolve(text);
    });
    socket.end(input, 'latin1');
  });
}

/** Runs `work(0)` to `work(count - 1)`, so many at a time. */
export async function inParallel(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/** Clients that come one after the other, several at a time, until `stop` returns how many were answered. */
export class Load {
  readonly #running: Promise<void>;
  #isWanted = true;
  answered = 0;

  constructor(clients: number, visit: () => Promise<void>) {
    this.#running = inParallel(clients, clients, async () => {
      while (this.#isWanted) {
        await visit();
        this.answered += 1;
      }
    });
    // A failure is told by `stop`, not when nobody listens.
    this.#running.catch(() => undefined);
    atEnd(() => {
      this.#isWanted = false;
    });
  }

  async stop(): Promise<number> {
    this.#isWanted = false;
    await this.#running;
    return this.answered;
  }
}
