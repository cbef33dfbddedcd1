/**
 * tcpmux (RFC 1078): a client says a service's name on a line of its own and gets that service on the same connection. Not a
 * byte behind the line is read here, because it belongs to the service. Names match whatever their case.
 */
import { isFull, refusalWhenFull, type Slots } from '../../admission/slots';
import { addon, type Fd } from '../../native/addon';
import type { PollSet } from '../../native/poll-set';
import { asSystemError } from '../../native/system-error';
import type { RefusalReason } from '../../log/events';
import type { Endings } from '../hosted/endings';
import type { Connection, Handler, Holder, Hosted } from '../hosted/hosted';

/** A client that says nothing for this long is let go. */
const SILENCE_MS = 10_000;
/** For a client that made its socket ready and said nothing, which a byte out of band does: it would be ready for ever. */
const REST_MS = 1_000;
/** With CR LF; the RFC names no limit. */
const LONGEST_LINE = 256;
/** Descriptors that these clients leave to everybody else: a batch of connections, a reload with its new sockets. */
const RESERVE = 32;

export interface TcpmuxParts {
  readonly slots: Slots;
  readonly endings: Pick<Endings, 'refuse' | 'turnAway' | 'drop'>;
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** Every hosted service. */
  readonly services: () => Iterable<Hosted>;
  /** Gives a connection with its new slot to the service that it asked for. */
  readonly serve: (connection: Connection) => void;
  /** A slot of the tcpmux service is free again. */
  readonly onFreed: () => void;
}

interface Talk {
  readonly connection: Connection;
  readonly timer: NodeJS.Timeout;
  /** Until then nobody listens to it. */
  rest: NodeJS.Timeout | null;
  text: string;
}

export class Tcpmux implements Handler, Holder {
  readonly isBusy = false;
  readonly #parts: TcpmuxParts;
  readonly #talks = new Map<Fd, Talk>();
  /** Whose clients are not listened to any more. */
  #isEnded: (hosted: Hosted) => boolean = () => false;
  #isMakingRoom = false;

  constructor(parts: TcpmuxParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#talks.size;
  }

  take(connection: Connection): 'taken' {
    const { fd, hosted } = connection;
    if (this.#isEnded(hosted)) {
      this.#parts.endings.refuse(connection, 'stopping');
      return 'taken';
    }
    this.makeRoom();
    const timer = setTimeout(() => {
      this.#refuse(fd, 'silent');
    }, SILENCE_MS);
    this.#talks.set(fd, { connection, timer, rest: null, text: '' });
    this.#listen(connection);
    return 'taken';
  }

  /**
   * Of those who talk the oldest are let go where few descriptors are left: clients who hold one and say nothing must not be the
   * reason why others are not served. Whoever has said a name by now gets that service, which may find none left in its turn.
   */
  makeRoom(): void {
    if (this.#isMakingRoom || this.#talks.size === 0) return;
    const missing = RESERVE - addon.freeDescriptors(RESERVE);
    if (missing <= 0) return;
    this.#isMakingRoom = true;
    for (const fd of [...this.#talks.keys()].slice(0, missing)) this.#letGo(fd);
    this.#isMakingRoom = false;
  }

  endAll(isDue: (hosted: Hosted) => boolean): void {
    this.#isEnded = isDue;
    for (const { connection } of [...this.#talks.values()]) {
      if (isDue(connection.hosted)) this.#refuse(connection.fd, 'stopping');
    }
  }

  /** Out of epoll watches nobody would hear this client. */
  #listen(connection: Connection): void {
    const { fd } = connection;
    try {
      this.#parts.pollSet.watch(fd, {
        onReadable: () => {
          this.#onReadable(fd);
        },
        onFault: () => {
          this.#refuse(fd, 'memory');
        },
      });
    } catch (error) {
      asSystemError(error);
      this.#refuse(fd, 'memory');
    }
  }

  #onReadable(fd: Fd): void {
    const talk = this.#talks.get(fd);
    if (talk === undefined) return;
    const line = addon.readLine(fd, LONGEST_LINE - talk.text.length);
    if (line === null) {
      this.#rest(talk);
      return;
    }
    talk.text += line.text;
    if (line.isEnd) this.#onLine(fd, talk);
    else if (line.text === '') this.#refuse(fd, 'left');
    else if (talk.text.length >= LONGEST_LINE) this.#refuse(fd, 'too-long', '-Too long\r\n');
  }

  #letGo(fd: Fd): void {
    try {
      if (this.#talks.get(fd)?.rest === null) this.#onReadable(fd);
      this.#refuse(fd, 'open-files');
    } catch {
      this.#refuse(fd, 'memory');
    }
  }

  #rest(talk: Talk): void {
    this.#parts.pollSet.unwatch(talk.connection.fd);
    talk.rest = setTimeout(() => {
      this.#listen(talk.connection);
    }, REST_MS);
  }

  /** "If the service name is help, it lists the names, one a line, and closes." */
  #onLine(fd: Fd, { text }: Talk): void {
    const name = text.trim().toLowerCase();
    const offered = [...this.#parts.services()].filter((hosted) => this.#isOffered(hosted));
    if (name === 'help') {
      this.#refuse(fd, 'help', offered.map(({ service }) => `${service.name}\r\n`).join(''));
      return;
    }
    const wanted = offered.find(({ service }) => service.name.toLowerCase() === name);
    if (wanted === undefined) this.#refuse(fd, 'no-service', '-Service not available\r\n');
    else this.#handOver(fd, wanted);
  }

  /** A service that has ended for good gets no child any more, whoever asks for it. */
  #isOffered(hosted: Hosted): boolean {
    return hosted.service.tcpmux !== null && !this.#isEnded(hosted);
  }

  /** From here on the connection is the other service's, as if that had accepted it. */
  #handOver(fd: Fd, wanted: Hosted): void {
    const connection = this.#end(fd);
    if (connection === undefined) return;
    this.#parts.slots.release(connection.slot);
    const slot = this.#parts.slots.take(wanted.gate);
    if (isFull(slot)) {
      this.#parts.endings.turnAway(connection, wanted, refusalWhenFull(slot.full), '-Service is full\r\n');
    } else {
      this.#admit({ ...connection, hosted: wanted, handler: wanted.handler, slot });
    }
    this.#parts.onFreed();
  }

  /** What that service asks of its clients, it asks of this one. */
  #admit(connection: Connection): void {
    const { hosted, peer, slot, fd } = connection;
    const refusal = hosted.admission?.refusalOf(peer, slot, performance.now()) ?? null;
    if (refusal !== null) {
      this.#parts.slots.putBack(slot);
      this.#parts.endings.turnAway(connection, hosted, refusal, '-Service not available\r\n');
      return;
    }
    if (hosted.service.tcpmux === 'plus') addon.sendNow(fd, '+Go\r\n');
    this.#serve(connection);
  }

  /** The talk is over, so nobody else would end a connection that failed in a way that we did not foresee. */
  #serve(connection: Connection): void {
    try {
      this.#parts.serve(connection);
    } catch (error) {
      this.#parts.endings.drop(connection, 'prepare', String(error));
    }
  }

  #refuse(fd: Fd, reason: RefusalReason, answer = ''): void {
    const connection = this.#end(fd);
    if (connection !== undefined) this.#parts.endings.refuse(connection, reason, answer);
  }

  /** Stops listening to this client, whose descriptor stays open. */
  #end(fd: Fd): Connection | undefined {
    const talk = this.#talks.get(fd);
    if (talk === undefined) return undefined;
    this.#talks.delete(fd);
    clearTimeout(talk.timer);
    if (talk.rest !== null) clearTimeout(talk.rest);
    this.#parts.pollSet.unwatch(fd);
    return talk.connection;
  }
}
