/**
 * A client that sends datagrams over UDP and keeps what comes back.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { LOCALHOST } from './client';
import { atEnd } from './endings';
import { until } from './until';

export class DatagramClient {
  readonly socket: Socket;
  /** What came back and was not taken by `next`. */
  readonly received: Buffer[] = [];

  constructor(type: 'udp4' | 'udp6') {
    this.socket = createSocket(type);
    this.socket.on('message', (message) => this.received.push(message));
    // What the kernel reports of an earlier datagram (nobody is there) says nothing of the next one.
    this.socket.on('error', () => undefined);
    atEnd(() => {
      this.socket.close();
    });
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** It lies in the queue of a receiver on this machine when this returns. */
  async send(content: string | Buffer, port: number, host = this.#loopback): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.send(content, port, host, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  async next(): Promise<Buffer> {
    return until('a datagram comes back', () => this.received.shift());
  }

  /** Sends a text and takes the next answer. */
  async ask(text: string, port: number, host = this.#loopback): Promise<string> {
    await this.send(text, port, host);
    return (await this.next()).toString();
  }

  get #loopback(): string {
    return this.socket.address().family === 'IPv6' ? '::1' : LOCALHOST;
  }
}

/** @param port of its own; 0: any */
export async function datagramClient(
  type: 'udp4' | 'udp6' = 'udp4',
  port = 0,
  host = type === 'udp6' ? '::1' : LOCALHOST,
): Promise<DatagramClient> {
  const client = new DatagramClient(type);
  client.socket.bind(port, host);
  await once(client.socket, 'listening');
  return client;
}
