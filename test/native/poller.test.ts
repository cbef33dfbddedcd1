/**
 * Which listeners have a client waiting: native/poller.cc.
 */
import { inFreshProcess } from './fresh-process';

test('tells of a waiting client in every turn of the loop until it is accepted', async () => {
  const seen = await inFreshProcess(async ({ addon, tryAccept, listen, connect, until }) => {
    const { fd, port } = listen();
    const ready = new Int32Array(64);
    let calls = 0;
    const told = new Set<number>();
    const poller = addon.openPoller(ready, (count) => {
      calls += 1;
      for (const each of ready.subarray(0, count)) told.add(each);
    });
    poller.watch(fd);
    const before = calls;
    await connect(port);
    await until(() => calls >= 3);
    tryAccept(fd);
    await new Promise(setImmediate);
    const accepted = calls;
    await connect((await Promise.resolve(listen())).port);
    return { before, isOurs: told.size === 1 && told.has(fd), more: calls - accepted };
  });
  expect(seen).toEqual({ before: 0, isOurs: true, more: 0 });
});

test('tells nothing of a listener that is not watched any more, and of it again when it is watched again', async () => {
  const seen = await inFreshProcess(async ({ addon, listen, connect, until }) => {
    const [quiet, lively] = [listen(), listen()];
    const ready = new Int32Array(64);
    const calls = new Map<number, number>();
    const poller = addon.openPoller(ready, (count) => {
      for (const each of ready.subarray(0, count)) calls.set(each, (calls.get(each) ?? 0) + 1);
    });
    poller.watch(quiet.fd);
    poller.watch(lively.fd);
    poller.unwatch(quiet.fd);
    await connect(quiet.port);
    await connect(lively.port);
    await until(() => (calls.get(lively.fd) ?? 0) >= 3);
    const whileUnwatched = calls.get(quiet.fd) ?? 0;
    poller.watch(quiet.fd);
    await until(() => calls.get(quiet.fd));
    return whileUnwatched;
  });
  expect(seen).toBe(0);
});

test('tells no more at once than there is room for, and writes nothing beyond', async () => {
  const seen = await inFreshProcess(async ({ addon, listen, connect, until }) => {
    const memory = new Int32Array(8).fill(-7);
    const ready = memory.subarray(3, 5);
    const [told, counts] = [new Set<number>(), new Set<number>()];
    const poller = addon.openPoller(ready, (count) => {
      counts.add(count);
      for (const each of ready.subarray(0, count)) told.add(each);
    });
    const listeners = Array.from({ length: 5 }, () => listen());
    for (const { port } of listeners) await connect(port);
    for (const { fd } of listeners) poller.watch(fd);
    await until(() => listeners.every(({ fd }) => told.has(fd)));
    return { counts: [...counts], around: [...memory.subarray(0, 3), ...memory.subarray(5)] };
  });
  expect(seen).toEqual({ counts: [2], around: Array(6).fill(-7) });
});

test.each(['new Int32Array(0)', 'new Uint8Array(64)', '[]', 'undefined'])(
  'does not begin without room to tell: %s',
  async (ready) => {
    const failure = await inFreshProcess(({ addon, failureOf }, ready) => {
      const array = eval(ready) as Int32Array;
      return failureOf(() => addon.openPoller(array, () => undefined));
    }, ready);
    expect(failure).toMatchObject({ message: 'ready has no room for descriptors' });
  },
);

test('tells of every one of more listeners than fit into one call', async () => {
  const [told, most] = await inFreshProcess(async ({ addon, listen, connect, until }) => {
    const ready = new Int32Array(64);
    const told = new Set<number>();
    let most = 0;
    const poller = addon.openPoller(ready, (count) => {
      most = Math.max(most, count);
      for (const each of ready.subarray(0, count)) told.add(each);
    });
    const listeners = Array.from({ length: 150 }, () => listen());
    for (const { port } of listeners) await connect(port);
    for (const { fd } of listeners) poller.watch(fd);
    await until(() => told.size === listeners.length);
    return [told.size, most];
  });
  expect(told).toBe(150);
  expect(most).toBe(64);
});

test('a listener is watched once, and one that is not watched cannot be left', async () => {
  const failures = await inFreshProcess(({ addon, listen, failureOf }) => {
    const poller = addon.openPoller(new Int32Array(64), () => undefined);
    const { fd } = listen();
    poller.watch(fd);
    const twice = failureOf(() => {
      poller.watch(fd);
    });
    poller.unwatch(fd);
    const gone = failureOf(() => {
      poller.unwatch(fd);
    });
    return [twice, gone];
  });
  expect(failures).toEqual([
    expect.objectContaining({ code: 'EEXIST', syscall: 'epoll_ctl' }),
    expect.objectContaining({ code: 'ENOENT', syscall: 'epoll_ctl' }),
  ]);
});

test('the set is part of no other one: to add to it would take a lock that all of the machine share', async () => {
  const nested = await inFreshProcess(({ addon, fs, listen, openFds }) => {
    const { fd } = listen();
    addon.openPoller(new Int32Array(64), () => undefined).watch(fd);
    const sets = openFds().filter((each) => fs.readlinkSync(`/proc/self/fd/${each}`) === 'anon_inode:[eventpoll]');
    const watched = sets.flatMap((each) => [
      ...fs.readFileSync(`/proc/self/fdinfo/${each}`, 'utf8').matchAll(/^tfd: *(\d+)/gm),
    ]);
    return {
      isWatched: watched.some(([, each]) => each === String(fd)),
      sets: watched.filter(([, each = '']) => sets.includes(each)),
    };
  });
  expect(nested).toEqual({ isWatched: true, sets: [] });
});

test('an error thrown by the callback ends the process loudly', async () => {
  const ended = inFreshProcess(async ({ addon, listen, connect, until }) => {
    const { fd, port } = listen();
    const poller = addon.openPoller(new Int32Array(64), () => {
      throw new Error('a fault of ours');
    });
    poller.watch(fd);
    await connect(port);
    await until(() => false);
  });
  await expect(ended).rejects.toThrow('a fault of ours');
});
