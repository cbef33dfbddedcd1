/**
 * Which sockets a configuration needs, and how to get them without touching those that serve: an address that is already
 * bound keeps its very socket, a new one is bound before anything else changes, and one that cannot be bound is left out and
 * told.
 */
import type { Listeners } from '../../listener/listener';
import type { Work } from '../../native/slices';
import { asSystemError, describeSystemError, type SystemError } from '../../native/system-error';
import { formatAddress, type InternetAddress, type ListenAddress, type SocketAddress } from '../../service/address';
import type { Service } from '../../service/service';
import type { Hosted, HostedListener } from '../hosted/hosted';
import { addressOf } from '../hosted/replace';
import type { Rebinder } from './rebind';

export interface OpenedSockets {
  /** For each service by name, those of its listeners that are there, in the order of its `listen`. */
  readonly byService: ReadonlyMap<string, readonly HostedListener[]>;
  /** What each of them is known by, at the same place. */
  readonly keysOf: ReadonlyMap<string, readonly string[]>;
  readonly failures: readonly ListenFailure[];
}

export interface ListenFailure {
  readonly service: string;
  readonly address: SocketAddress;
  readonly error: SystemError;
}

export interface OpenParts {
  readonly listeners: Pick<Listeners<Hosted>, 'open' | 'close'>;
  /** Our listener of that key, null when there is none. */
  readonly find: (key: string) => HostedListener | null;
  readonly keys: ListenKeys;
  readonly rebinder: Pick<Rebinder, 'open'>;
}

/** What makes two addresses the same listener. */
export class ListenKeys {
  readonly #passedNumber: (name: string) => number | undefined;

  /** @param passedNumber what makes two names of a passed socket one */
  constructor(passedNumber: (name: string) => number | undefined) {
    this.#passedNumber = passedNumber;
  }

  /** The address, or the place in its service where the kernel chose the port. */
  ofEntry(service: string, entry: number, address: SocketAddress): string {
    const isChosen = 'address' in address && address.port === 0;
    return isChosen ? `${service} ${entry} ${address.type} ${address.address}` : this.ofAddress(address);
  }

  /** A passed socket is one, whether it is called by its name or by its number. */
  ofAddress(address: SocketAddress): string {
    if (address.family !== 'passed') return formatAddress(address);
    return `fd ${this.#passedNumber(address.name) ?? address.name}`;
  }

  /** In the order in which `Opening` makes them. */
  ofService({ name, listen }: Service): string[] {
    return listen.flatMap(({ sockets }, entry) => sockets.map((address) => this.ofEntry(name, entry, address)));
  }
}

/** `listen 0.0.0.0:80 (http): EACCES permission denied`, as the terminal shows it. */
export function describeFailure(failure: ListenFailure): string {
  return `listen ${formatAddress(failure.address)} (${failure.service}): ${describeError(failure)}`;
}

export function describeError({ address, error }: ListenFailure): string {
  if (address.family === 'passed' && error.code === 'EBADF') return 'no such socket was passed to stdiod';
  if ('path' in address && error.code === 'ETIMEDOUT') return HELD_UP;
  return describeSystemError(error);
}

const HELD_UP = 'ETIMEDOUT whoever may list its folder can hold it up; chmod 711 keeps others from that';

/** How often a wildcard with port 0 looks for a number that is free in both families. */
const PAIR_ATTEMPTS = 16;

/** What was found and bound so far. Of all of it nobody knows yet, and it can be closed again. */
export class Opening implements OpenedSockets {
  readonly byService = new Map<string, readonly HostedListener[]>();
  readonly keysOf = new Map<string, readonly string[]>();
  /** Bound just now. */
  readonly fresh = new Set<HostedListener>();
  readonly failures: ListenFailure[] = [];
  readonly #parts: OpenParts;

  constructor(parts: OpenParts) {
    this.#parts = parts;
  }

  /** @param owner of its listeners */
  *open(service: Service, owner: Hosted): Work<void> {
    const opened: Keyed[] = [];
    for (const [index, entry] of service.listen.entries()) {
      opened.push(...this.#openEntry(service, owner, entry, index));
      yield 'revocable';
    }
    this.#put(service, opened);
  }

  /** What was found may have been lost since: what is in its place by now is taken, or bound. */
  renew(service: Service, owner: Hosted): void {
    const [listeners, keys] = [this.byService.get(service.name) ?? [], this.keysOf.get(service.name) ?? []];
    if (listeners.every(({ phase }) => phase !== 'closed')) return;
    const opened = listeners.map((listener, at): Keyed | null => {
      const key = keys[at] ?? '';
      if (listener.phase !== 'closed') return { key, listener };
      const other = this.#parts.find(key) ?? this.#openOne(service, owner, addressOf(listener));
      return other && { key, listener: other };
    });
    this.#put(
      service,
      opened.filter((each) => each !== null),
    );
  }

  #put({ name }: Service, opened: readonly Keyed[]): void {
    this.byService.set(
      name,
      opened.map(({ listener }) => listener),
    );
    this.keysOf.set(
      name,
      opened.map(({ key }) => key),
    );
  }

  #openEntry(service: Service, owner: Hosted, entry: ListenAddress, index: number): Keyed[] {
    const { find, keys } = this.#parts;
    const known = entry.sockets.map((address) => keys.ofEntry(service.name, index, address));
    const existing = known.map(find);
    const isNew = existing.every((listener) => listener === null);
    const opened =
      isNew && isPair(entry)
        ? this.#openPair(service, owner, entry.sockets)
        : samePort(entry, existing).map((address, at) => existing[at] ?? this.#openOne(service, owner, address));
    return opened.flatMap((listener, at) => (listener === null ? [] : [{ key: known[at] ?? '', listener }]));
  }

  /** With port 0 the second family takes the number that the first was given, which somebody may hold already. */
  #openPair(service: Service, owner: Hosted, [first, second]: Pair): (HostedListener | null)[] {
    for (let attempt = 1; ; attempt += 1) {
      const one = this.#openOne(service, owner, first);
      if (one === null) return [null, this.#openOne(service, owner, second)];
      const two = this.#tryOpen(service, owner, { ...second, port: portOf(one) });
      if ('fd' in two) return [one, this.#keep(two)];
      if (attempt === PAIR_ATTEMPTS) return [one, this.#fail(service, second, two)];
      this.fresh.delete(one);
      this.#parts.listeners.close(one);
    }
  }

  #openOne(service: Service, owner: Hosted, address: SocketAddress): HostedListener | null {
    const opened = this.#tryOpen(service, owner, address);
    if ('fd' in opened) return this.#keep(opened);
    const beside = this.#parts.rebinder.open({ address, options: service.socket, owner }) ?? opened;
    return 'fd' in beside ? this.#keep(beside) : this.#fail(service, address, beside);
  }

  #tryOpen({ socket }: Service, owner: Hosted, address: SocketAddress): HostedListener | SystemError {
    try {
      return this.#parts.listeners.open(address, socket, owner);
    } catch (error) {
      return asSystemError(error);
    }
  }

  #keep(listener: HostedListener): HostedListener {
    this.fresh.add(listener);
    return listener;
  }

  #fail(service: Service, address: SocketAddress, error: SystemError): null {
    this.failures.push({ service: service.name, address, error });
    return null;
  }
}

interface Keyed {
  readonly key: string;
  readonly listener: HostedListener;
}

/** Where the kernel chose the port of one family, the other one is to have the same. */
function samePort(entry: ListenAddress, existing: readonly (HostedListener | null)[]): readonly SocketAddress[] {
  const chosen = existing.find((listener) => listener !== null);
  if (chosen === undefined || !isPair(entry)) return entry.sockets;
  return entry.sockets.map((address) => ({ ...address, port: portOf(chosen) }));
}

function portOf({ address }: HostedListener): number {
  return 'port' in address ? address.port : 0;
}

type Pair = readonly [InternetAddress, InternetAddress];

function isPair(entry: ListenAddress): entry is { readonly sockets: Pair } {
  const [first] = entry.sockets;
  return entry.sockets.length === 2 && first !== undefined && 'address' in first && first.port === 0;
}
