/**
 * tcpmux (RFC 1078): a client says a service's name on a line of its own and gets that service on the same connection. Not a
 * byte behind the line is read here, because it belongs to the service. Names match whatever their case.
 */
import type { Slots } from '../admission/slots';
import type { Log } from '../log/log';
import type { RefusalReason } from '../log/events';
import { addon, POLLER_BATCH, type Poller } from '../native/addon';
import { asSystemError } from '../native/system-error';
import { formatPeer } from '../service/peer';
import type { Attempt } from './connections';
import type { Hosted } from './hosted';

/** A client that says nothing for this long is let go. */
const SILENCE_MS = 10_000;
/** With CR LF; the RFC names no limit. */
const LONGEST_LINE = 256;

export interface MuxParts {
  readonly log: Log;
  readonly slots: Slots;
  /** Every hosted service. */
  readonly services: () => Iterable<Hosted>;
  readonly serve: (attempt: Attempt) => void;
  /** Called when a slot of the tcpmux service is free again. */
  readonly onEnd: (attempt: Attempt) => void;
}

interface Talk {
  readonly attempt: Attempt;
  readonly timer: NodeJS.Timeout;
  text: string;
}

export class Mux {
  readonly #parts: MuxParts;
  readonly #talks = new Map<number, Talk>();
  readonly #ready = new Int32Array(POLLER_BATCH);
  /** Opened with the first client: few configurations have this service. */
  #poller: Poller | null = null;

  constructor(parts: MuxParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#talks.size;
  }

  start(attempt: Attempt): void {
    const { fd } = attempt;
    this.#poller ??= addon.openPoller(this.#ready, (count) => {
      this.#onReady(count);
    });
    const timer = setTimeout(() => {
      this.#refuse(fd, 'silent', '');
    }, SILENCE_MS);
    this.#talks.set(fd, { attempt, timer, text: '' });
    try {
      this.#poller.watch(fd);
    } catch (error) {
      asSystemError(error);
      this.#talks.delete(fd);
      clearTimeout(timer);
      this.#giveUp(attempt);
    }
  }

  endAll(): void {
    for (const fd of [...this.#talks.keys()]) this.#refuse(fd, 'stopping', '');
  }

  /** Out of epoll watches: nobody would hear this client. */
  #giveUp(attempt: Attempt): void {
    const { hosted, fd, peer } = attempt;
    addon.refuse(fd);
    this.#parts.slots.release(hosted.gate);
    const { service, gate } = hosted;
    this.#parts.log.emit({
      event: 'refused',
      service: service.name,
      peer: formatPeer(peer),
      reason: 'memory',
      limit: gate.limit,
    });
  }

  #onReady(count: number): void {
    for (let index = 0; index < count; index += 1) this.#onReadable(this.#ready[index] ?? -1);
  }

  #onReadable(fd: number): void {
    const talk = this.#talks.get(fd);
    if (talk === undefined) return;
    const line = addon.readLine(talk.attempt.fd, LONGEST_LINE - talk.text.length);
    if (line === null) return;
    talk.text += line.text;
    if (line.isEnd) this.#onLine(fd, talk);
    else if (line.text === '') this.#refuse(fd, 'left', '');
    else if (talk.text.length >= LONGEST_LINE) this.#refuse(fd, 'too-long', '-Too long\r\n');
  }

  #onLine(fd: number, { attempt, text }: Talk): void {
    const name = text.trim().toLowerCase();
    if (name === 'help') {
      this.#answerHelp(fd);
      return;
    }
    const wanted = this.#offered().find(({ service }) => service.name.toLowerCase() === name);
    if (wanted === undefined) {
      this.#refuse(fd, 'no-service', '-Service not available\r\n');
      return;
    }
    this.#end(fd);
    this.#handOver(attempt, wanted);
    this.#parts.onEnd(attempt);
  }

  #handOver(attempt: Attempt, wanted: Hosted): void {
    const verdict = this.#parts.slots.take(wanted.gate);
    const { fd, peer } = attempt;
    if (verdict === 'admit') {
      if (wanted.service.tcpmux === 'plus') addon.sendNow(fd, '+Go\r\n');
      this.#parts.serve({ ...attempt, hosted: wanted, plan: wanted.plan });
      return;
    }
    addon.sendNow(fd, '-Service is full\r\n');
    addon.refuse(fd);
    const { service, gate } = wanted;
    const limit = verdict === 'full' ? gate.limit : this.#parts.slots.server.limit;
    this.#parts.log.emit({ event: 'refused', service: service.name, peer: formatPeer(peer), reason: verdict, limit });
  }

  #offered(): Hosted[] {
    return [...this.#parts.services()].filter(({ service }) => service.tcpmux !== null);
  }

  /** "If the service name is help, it lists the names, one a line, and closes." */
  #answerHelp(fd: number): void {
    const talk = this.#end(fd);
    if (talk === undefined) return;
    addon.sendNow(
      talk.attempt.fd,
      this.#offered()
        .map(({ service }) => `${service.name}\r\n`)
        .join(''),
    );
    addon.refuse(talk.attempt.fd);
    this.#parts.onEnd(talk.attempt);
  }

  #refuse(fd: number, reason: RefusalReason, answer: string): void {
    const talk = this.#end(fd);
    if (talk === undefined) return;
    const { hosted, peer } = talk.attempt;
    if (answer !== '') addon.sendNow(talk.attempt.fd, answer);
    addon.refuse(talk.attempt.fd);
    this.#parts.log.emit({
      event: 'refused',
      service: hosted.service.name,
      peer: formatPeer(peer),
      reason,
      limit: hosted.gate.limit,
    });
    this.#parts.onEnd(talk.attempt);
  }

  /** Stops listening to this client; its descriptor stays open, its slot of the tcpmux service is free. */
  #end(fd: number): Talk | undefined {
    const talk = this.#talks.get(fd);
    if (talk === undefined) return undefined;
    this.#talks.delete(fd);
    clearTimeout(talk.timer);
    this.#poller?.unwatch(talk.attempt.fd);
    this.#parts.slots.release(talk.attempt.hosted.gate);
    return talk;
  }
}
