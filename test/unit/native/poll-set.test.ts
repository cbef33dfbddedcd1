/**
 * One epoll set for all, on a pretended poller: who is told, and what a fault of one costs the others.
 */
import { addon, type Fd } from '../../../src/native/addon';
import { PollSet, type Watcher } from '../../../src/native/poll-set';

let mockTell: (...fds: number[]) => boolean = () => true;
const mockPoller = { watch: jest.fn(), unwatch: jest.fn(), close: jest.fn() };

jest.mock('../../../src/native/addon', () => ({
  POLLER_BATCH: 4,
  addon: {
    openPoller: jest.fn((ready: Int32Array, onReady: (count: number) => boolean) => {
      mockTell = (...fds): boolean => {
        ready.set(fds);
        return onReady(fds.length);
      };
      return mockPoller;
    }),
  },
}));

const [ONE, TWO, THREE] = [1 as Fd, 2 as Fd, 3 as Fd];

let pollSet: PollSet;
/** Who was told that it is readable, and who of its fault. */
let told: string[];

beforeEach(() => {
  jest.clearAllMocks();
  told = [];
  pollSet = new PollSet();
});

function watcherOf(name: string, onReadable: () => void = () => undefined): Watcher {
  return {
    onReadable: (): void => {
      told.push(name);
      onReadable();
    },
    onFault: (error): void => void told.push(`${name}: ${String(error)}`),
  };
}

test('one set serves them all', () => {
  for (const fd of [ONE, TWO]) pollSet.watch(fd, watcherOf(`${fd}`));
  mockTell(TWO, ONE);
  expect([told, jest.mocked(addon).openPoller.mock.calls.length]).toEqual([['2', '1'], 1]);
});

test('tells of a descriptor only while it is watched', () => {
  pollSet.watch(ONE, watcherOf('1'));
  mockTell(ONE, TWO);
  pollSet.unwatch(ONE);
  mockTell(ONE, TWO);
  expect(told).toEqual(['1']);
});

test('passes over one that an earlier one of the same batch caused to be unwatched', () => {
  const unwatchOthers = (): void => {
    for (const fd of [TWO, THREE]) pollSet.unwatch(fd);
  };
  pollSet.watch(ONE, watcherOf('1', unwatchOthers));
  for (const fd of [TWO, THREE]) pollSet.watch(fd, watcherOf(`${fd}`));
  mockTell(ONE, TWO, THREE);
  expect(told).toEqual(['1']);
});

test('what one owner throws is told to that owner, and the others of the batch get their turn', () => {
  const fail = (): never => {
    throw new TypeError('ours');
  };
  pollSet.watch(ONE, watcherOf('1', fail));
  pollSet.watch(TWO, watcherOf('2'));
  mockTell(ONE, TWO);
  expect(told).toEqual(['1', '1: TypeError: ours', '2']);
});

test('one that unwatches itself and then throws still hears of it', () => {
  const fail = (): never => {
    pollSet.unwatch(ONE);
    throw new TypeError('ours');
  };
  pollSet.watch(ONE, watcherOf('1', fail));
  mockTell(ONE);
  expect(told).toEqual(['1', '1: TypeError: ours']);
});

test('what is not watched is not taken out of the kernel’s set: the number may be somebody else’s', () => {
  pollSet.watch(ONE, watcherOf('1'));
  pollSet.unwatch(ONE);
  pollSet.unwatch(ONE);
  pollSet.unwatch(TWO);
  expect(mockPoller.unwatch.mock.calls).toEqual([[ONE]]);
});

test('one that the kernel refuses to watch is thrown on and told of nothing', () => {
  mockPoller.watch.mockImplementationOnce(() => {
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'epoll_ctl' });
  });
  expect(() => {
    pollSet.watch(ONE, watcherOf('1'));
  }).toThrow('ENOSPC');
  mockTell(ONE);
  expect(told).toEqual([]);
});

describe('one that the kernel does not let go of', () => {
  const refuse = (): never => {
    throw Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', syscall: 'epoll_ctl' });
  };

  test('is nobody’s business any more: its owner hears no error and is not told', () => {
    pollSet.watch(ONE, watcherOf('1'));
    mockPoller.unwatch.mockImplementationOnce(refuse);
    pollSet.unwatch(ONE);
    mockTell(ONE);
    expect(told).toEqual([]);
  });

  test('is tried again when the kernel tells of it, and meanwhile that would be no use at once', () => {
    for (const fd of [ONE, TWO]) pollSet.watch(fd, watcherOf(`${fd}`));
    mockPoller.unwatch.mockImplementationOnce(refuse).mockImplementationOnce(refuse);
    pollSet.unwatch(ONE);
    expect([mockTell(ONE, TWO), mockTell(ONE), mockTell(ONE), mockTell(TWO)]).toEqual([false, true, true, true]);
    expect(mockPoller.unwatch).toHaveBeenCalledTimes(3);
    expect(told).toEqual(['2', '2']);
  });

  test('can be watched again, once it has been let go of', () => {
    pollSet.watch(ONE, watcherOf('1'));
    mockPoller.unwatch.mockImplementationOnce(refuse);
    pollSet.unwatch(ONE);
    pollSet.watch(ONE, watcherOf('another'));
    expect(mockPoller.unwatch).toHaveBeenCalledTimes(2);
    mockTell(ONE);
    expect(told).toEqual(['another']);
  });
});
