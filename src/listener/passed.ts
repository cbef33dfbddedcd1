/**
 * Sockets that somebody bound for us: systemd's protocol (sd_listen_fds(3)). LISTEN_PID says whom they are for, LISTEN_FDS how
 * many there are from descriptor 3 on, LISTEN_FDNAMES what they are called. Taken once, when stdiod starts; they stay open
 * for as long as it runs, so that a reload may want one again.
 */
import { addon, type PassedSocketFacts } from '../native/addon';
import type { PassedAddress, SocketAddress } from '../service/address';
import type { PassedSocket } from '../service/listen-text';
import type { SocketOptions } from '../service/service';
import { optionsFor } from './options';
import type { ListeningSocket, Past } from './socket';

interface Taken extends PassedSocket {
  readonly facts: PassedSocketFacts;
  readonly past: Past;
}

const FIRST = 3;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

export class PassedSockets {
  readonly #taken: readonly Taken[];

  private constructor(taken: readonly Taken[]) {
    this.#taken = taken;
  }

  /** To be called once, before any other descriptor is used. The variables are removed: they are not meant for children. */
  static fromEnvironment(environment: NodeJS.ProcessEnv): PassedSockets {
    const [pid, count, names] = VARIABLES.map((name) => environment[name]);
    for (const name of VARIABLES) Reflect.deleteProperty(environment, name);
    if (pid !== String(process.pid)) return new PassedSockets([]);
    const labels = names?.split(':') ?? [];
    const numbers = Array.from({ length: Number(count) || 0 }, (_, index) => FIRST + index);
    return new PassedSockets(numbers.flatMap((number, index) => takeOne(number, labels[index] ?? 'unknown')));
  }

  /** For the configuration, which may want to know on another thread. */
  get list(): readonly PassedSocket[] {
    return this.#taken.map(({ name, number, type }) => ({ name, number, type }));
  }

  /** @throws SystemError; the configuration has checked that there is one of this name and kind */
  take(address: PassedAddress, options: SocketOptions): ListeningSocket {
    const found = this.#find(address.name);
    if (found === undefined) throw Object.assign(new Error('not passed'), { code: 'EBADF', syscall: 'LISTEN_FDS' });
    const { facts, past } = found;
    const { fd, type, isListening } = facts;
    if (type !== 'datagram' && !isListening) {
      throw Object.assign(new Error('it does not listen'), { code: 'EINVAL', syscall: 'accept' });
    }
    const actual = addressOf(facts) ?? address;
    addon.setListenerOptions(fd, optionsFor(actual, options));
    addon.setBlocking(fd, false);
    return { fd, address: actual, configured: address, origin: { kind: 'passed' }, options, past };
  }

  /** What makes two names one socket. */
  numberOf(name: string): number | undefined {
    return this.#find(name)?.number;
  }

  /** A name comes before a number that looks like it, as in the configuration. */
  #find(name: string): Taken | undefined {
    const taken = this.#taken;
    return taken.find((socket) => socket.name === name) ?? taken.find(({ number }) => String(number) === name);
  }
}

/** What is no socket (systemd can also pass files) is nothing that a service could use. */
function takeOne(number: number, name: string): Taken[] {
  try {
    const facts = addon.takePassed(number);
    return [{ name, number, type: facts.type, facts, past: { borrower: null } }];
  } catch {
    return [];
  }
}

function addressOf({ family, type, address, port }: PassedSocketFacts): SocketAddress | null {
  if (family === 'unix') return { family, type, path: address };
  if (type === 'seqpacket') return null;
  if (family === 'ipv4' || family === 'ipv6') return { family, type, address, port };
  return family === 'vsock' && type === 'stream' ? { family, type, port } : null;
}
