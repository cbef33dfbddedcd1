/**
 * Sockets that somebody bound for us: systemd's protocol (sd_listen_fds(3)). LISTEN_PID says whom they are for, LISTEN_FDS how
 * many there are from descriptor 3 on, LISTEN_FDNAMES what they are called. Taken once, when stdiod starts; they stay open
 * for as long as it runs, so that a reload may want one again.
 */
import { addon, type PassedSocketFacts } from '../native/addon';
import type { PassedAddress, SocketAddress } from '../service/address';
import type { PassedSocket } from '../service/listen-text';
import type { SocketOptions } from '../service/service';
import type { BoundSocket } from './bind';
import { optionsFor } from './options';

interface Taken extends PassedSocket {
  readonly facts: PassedSocketFacts;
}

const FIRST = 3;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

let taken: readonly Taken[] = [];

/** To be called once, before any other descriptor is used. The variables are removed: they are not meant for children. */
export function takePassedSockets(environment: NodeJS.ProcessEnv): readonly PassedSocket[] {
  const [pid, count, names] = VARIABLES.map((name) => environment[name]);
  for (const name of VARIABLES) Reflect.deleteProperty(environment, name);
  if (pid !== String(process.pid)) return [];
  const labels = names?.split(':') ?? [];
  const numbers = Array.from({ length: Number(count) || 0 }, (_, index) => FIRST + index);
  taken = numbers.flatMap((number, index) => takeOne(number, labels[index] ?? 'unknown'));
  return taken.map(({ name, number, type }) => ({ name, number, type }));
}

/** What is no socket (systemd can also pass files) is nothing that a service could use. */
function takeOne(number: number, name: string): Taken[] {
  try {
    const facts = addon.takePassed(number);
    return [{ name, number, type: facts.type, facts }];
  } catch {
    return [];
  }
}

/** @throws SystemError; the configuration has checked that there is one of this name and kind */
export function takePassedSocket(address: PassedAddress, options: SocketOptions): BoundSocket {
  const found = findTaken(address.name);
  if (found === undefined) throw Object.assign(new Error('not passed'), { code: 'EBADF', syscall: 'LISTEN_FDS' });
  const { facts } = found;
  if (facts.type !== 'datagram' && !facts.isListening) {
    throw Object.assign(new Error('it does not listen'), { code: 'EINVAL', syscall: 'accept' });
  }
  const actual = addressOf(facts) ?? address;
  addon.setListenerOptions(facts.fd, optionsFor(actual, options));
  addon.setBlocking(facts.fd, false);
  return {
    fd: facts.fd,
    address: actual,
    holdOff: () => undefined,
    welcome: () => undefined,
    release: () => undefined,
    change: (changed) => {
      addon.setListenerOptions(facts.fd, optionsFor(actual, changed));
    },
  };
}

/** What makes two names one socket: its number. */
export function passedNumber(name: string): number | undefined {
  return findTaken(name)?.number;
}

/** A name comes before a number that looks like it, as in the configuration. */
function findTaken(name: string): Taken | undefined {
  return taken.find((socket) => socket.name === name) ?? taken.find(({ number }) => String(number) === name);
}

function addressOf({ family, type, address, port }: PassedSocketFacts): SocketAddress | null {
  if (family === 'unix') return { family, type, path: address };
  if (type === 'seqpacket') return null;
  if (family === 'ipv4' || family === 'ipv6') return { family, type, address, port };
  return family === 'vsock' && type === 'stream' ? { family, type, port } : null;
}
