/**
 * Each system call that the daemon's main thread makes is made to fail, once and for a while, by class of errno, with a client
 * on every kind of service: afterwards all are served, meanwhile nobody spins, and a stop is a stop.
 */
import { Denial, type Errno } from './denial';
import { endAll } from './endings';
import { childrenOf, epollSetOf, isRunning, listenerFd } from './proc';
import { expectRest } from './rest';
import { until, untilTrue } from './until';
import { startWorld, type World } from './world';

// Clients are left waiting on purpose.
jest.setTimeout(600_000);

afterEach(endAll);

interface Call {
  readonly name: string;
  readonly errors: readonly [Errno, ...Errno[]];
  /** Only this descriptor is meant. */
  readonly fd?: (world: World) => number;
}

const CALLS: readonly Call[] = [
  { name: 'accept4', errors: ['EMFILE', 'ENOMEM', 'EPERM', 'EPROTO', 'ECONNABORTED', 'EINTR', 'EINVAL'] },
  { name: 'getsockname', errors: ['ENOBUFS'] },
  { name: 'getpeername', errors: ['ENOBUFS'] },
  { name: 'getsockopt', errors: ['ENOBUFS'] },
  { name: 'setsockopt', errors: ['ENOMEM'] },
  { name: 'fcntl', errors: ['EMFILE', 'EPERM'] },
  { name: 'ioctl', errors: ['ENOMEM', 'EPERM'] },
  { name: 'clone', errors: ['EAGAIN', 'ENOMEM', 'EPERM'] },
  { name: 'wait4', errors: ['EINTR', 'ECHILD', 'EPERM'] },
  { name: 'poll', errors: ['ENOMEM'] },
  { name: 'recvmsg', errors: ['ENOMEM'] },
  { name: 'recvfrom', errors: ['ENOMEM', 'ECONNRESET', 'EINTR'] },
  { name: 'sendto', errors: ['EPIPE', 'ENOBUFS'] },
  { name: 'shutdown', errors: ['ENOTCONN'] },
  { name: 'epoll_wait', errors: ['EINTR', 'EPERM'], fd: pollSet },
  { name: 'epoll_ctl', errors: ['ENOSPC', 'ENOMEM'], fd: pollSet },
  { name: 'epoll_ctl-del', errors: ['ENOMEM'], fd: pollSet },
];

function pollSet({ daemon }: World): number {
  return epollSetOf(daemon.pid, listenerFd(daemon.pid, daemon.port('exec')));
}

interface Failing extends World {
  readonly denial: Denial;
  readonly fd: number;
}

async function startFailing({ name, fd }: Call): Promise<Failing> {
  const denial = new Denial(name);
  const world = await startWorld({ wrapper: denial.wrapper });
  await world.expectService();
  return { ...world, denial, fd: fd?.(world) ?? -1 };
}

/** Long enough for clients to be served, or not, on a machine with little to do. */
const VISIT_MS = 1_000;

/** From now on the call fails, or fails once; clients come until one of them has met with it. */
async function meet({ denial, fd, visit }: Failing, error: Errno, times = 0): Promise<void> {
  // Counted first: what the clients before have left to be done may meet with it at once, and then the only failure is over.
  const before = denial.count;
  denial.deny(error, { fd, times });
  const hasFailed = (): true | undefined => (denial.count > before ? true : undefined);
  await untilTrue('a call fails', async () => {
    await visit();
    return until('a call fails', hasFailed, VISIT_MS).catch(() => false);
  });
}

const EACH = CALLS.flatMap((call) => call.errors.map((error): [string, Errno, Call] => [call.name, error, call]));

test.each(EACH)('%s that fails with %s is survived', async (_, error, call) => {
  const failing = await startFailing(call);
  const { denial, daemon, expectService } = failing;
  await meet(failing, error, 1);
  await expectService();
  await meet(failing, error);
  await expectRest(daemon.pid);
  denial.allow();
  await expectService();
  await meet(failing, error);
  const children = childrenOf(daemon.pid);
  expect([0, 1]).toContain(await daemon.stop());
  for (const pid of children) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
});
