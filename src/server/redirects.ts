/**
 * Services with `redirect`: stdiod itself forwards, in both directions, each of which may end before the other. The target's
 * name is resolved for each connection, off the accept path. These sockets never go to a child, so libuv may have them.
 */
import { connect, Socket } from 'node:net';
import type { Slots } from '../admission/slots';
import type { Emit } from '../log/events';
import { formatHostPort } from '../service/address';
import { formatPeer } from '../service/peer';
import type { RedirectTarget } from '../service/service';
import type { Connection, Handler, Holder, Hosted } from './hosted/hosted';

const MS = 1000;
/** A target that says nothing must not keep a slot for the two minutes that the kernel would wait. */
const CONNECT_MS = 30_000;

export interface RedirectParts {
  readonly emit: Emit;
  readonly slots: Slots;
  /** Called after each end: a slot is free. */
  readonly onFreed: () => void;
}

export class Redirects implements Holder {
  readonly #parts: RedirectParts;
  /** Both ends of each connection. */
  readonly #open = new Set<Forwarding>();

  constructor(parts: RedirectParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#open.size;
  }

  to(target: RedirectTarget): Handler {
    return {
      take: (connection) => {
        this.#start(connection, target);
        return 'taken';
      },
    };
  }

  #start(attempt: Connection, target: RedirectTarget): void {
    const client = new Socket({ fd: attempt.fd, allowHalfOpen: true });
    const server = connect({ ...target, allowHalfOpen: true });
    const forwarding: Forwarding = {
      attempt,
      target: formatTarget(target),
      client,
      server,
      startedMs: performance.now(),
    };
    this.#open.add(forwarding);
    client.pause();
    client.on('error', () => server.destroy());
    server.setTimeout(CONNECT_MS, () => server.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
    server.once('connect', () => {
      this.#onConnect(forwarding);
    });
    server.on('error', (error) => {
      this.#onServerError(forwarding, error);
    });
    this.#watchEnds(forwarding);
  }

  endAll(isDue: (hosted: Hosted) => boolean): void {
    for (const { attempt, client, server } of this.#open) {
      if (!isDue(attempt.hosted)) continue;
      client.destroy();
      server.destroy();
    }
  }

  #onConnect(forwarding: Forwarding): void {
    const { attempt, target, client, server } = forwarding;
    const { hosted, id: connection } = attempt;
    const peer = formatPeer(attempt.peer);
    const { inUse: children, limit } = hosted.gate;
    forwarding.isForwarding = true;
    this.#parts.emit({
      event: 'forwarding',
      service: hosted.service.name,
      connection,
      peer,
      target,
      children,
      limit,
    });
    server.setTimeout(0);
    client.pipe(server);
    server.pipe(client);
  }

  #onServerError(forwarding: Forwarding, error: Error): void {
    const { attempt, target, client } = forwarding;
    if (forwarding.isForwarding !== true) {
      const { hosted } = attempt;
      const peer = formatPeer(attempt.peer);
      const code = 'code' in error ? String(error.code) : error.message;
      forwarding.isRefused = true;
      this.#parts.emit({
        event: 'refused',
        service: hosted.service.name,
        peer,
        reason: 'target',
        target,
        error: code,
      });
    }
    client.destroy();
  }

  /** The connection ends when both of its sockets are closed. */
  #watchEnds(forwarding: Forwarding): void {
    let left = 2;
    const onClose = (): void => {
      left -= 1;
      if (left === 0) this.#onEnd(forwarding);
    };
    forwarding.client.once('close', () => {
      if (!forwarding.server.readableEnded) forwarding.server.destroy();
      onClose();
    });
    forwarding.server.once('close', () => {
      if (!forwarding.client.readableEnded || forwarding.isForwarding !== true) forwarding.client.destroy();
      onClose();
    });
  }

  #onEnd(forwarding: Forwarding): void {
    const { attempt, target, client, startedMs } = forwarding;
    const { hosted, id: connection } = attempt;
    const peer = formatPeer(attempt.peer);
    this.#open.delete(forwarding);
    this.#parts.slots.release(attempt.slot);
    if (forwarding.isForwarding === true) {
      this.#parts.emit({
        event: 'closed',
        service: hosted.service.name,
        connection,
        peer,
        target,
        in: client.bytesRead,
        out: client.bytesWritten,
        duration: Math.round(performance.now() - startedMs) / MS,
      });
    }
    if (forwarding.isForwarding !== true && forwarding.isRefused !== true) this.#tellLeft(attempt);
    this.#parts.onFreed();
  }

  /** Before the target has answered. */
  #tellLeft({ hosted, peer }: Connection): void {
    const { service, gate } = hosted;
    this.#parts.emit({
      event: 'refused',
      service: service.name,
      peer: formatPeer(peer),
      reason: 'left',
      limit: gate.limit,
    });
  }
}

interface Forwarding {
  readonly attempt: Connection;
  /** As the log shows it. */
  readonly target: string;
  readonly client: Socket;
  readonly server: Socket;
  readonly startedMs: number;
  /** The target has answered. */
  isForwarding?: boolean;
  /** The target cannot be reached, and the log says so. */
  isRefused?: boolean;
}

function formatTarget(target: RedirectTarget): string {
  return 'path' in target ? `unix:${target.path}` : formatHostPort(target.host, target.port);
}
