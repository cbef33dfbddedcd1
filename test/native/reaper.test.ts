/**
 * Every exit is collected once, with its whole story: native/reaper.cc.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith } from './needs';

test('all 256 exit statuses', async () => {
  const statuses = await inFreshProcess(async ({ addon, shell, nullConnection, exitOf, openReaper }) => {
    openReaper();
    const prepared = shell('exit $STATUS');
    const all = Array.from({ length: 256 }, (_, status) => status);
    const pids = all.map((status) => addon.spawn(prepared, { fd: nullConnection(), facts: `STATUS=${status}\0` }));
    const exits = await Promise.all(pids.map(exitOf));
    return exits.map(({ status, signal, step }) => (signal === 0 && step === 'none' ? status : 'wrong'));
  });
  expect(statuses).toEqual(Array.from({ length: 256 }, (_, status) => status));
});

test('all signals that end a process', async () => {
  const [sent, seen] = await inFreshProcess(async ({ addon, shell, nullConnection, exitOf, openReaper }) => {
    openReaper();
    const range = (first: number, last: number): number[] =>
      Array.from({ length: last - first + 1 }, (_, at) => first + at);
    const sent = [...range(1, 16), ...range(24, 27), 29, 30, 31, ...range(34, 64)];
    const prepared = shell('ulimit -c 0; kill -$SIGNAL $$');
    const pids = sent.map((signal) => addon.spawn(prepared, { fd: nullConnection(), facts: `SIGNAL=${signal}\0` }));
    const exits = await Promise.all(pids.map(exitOf));
    return [sent, exits.map(({ status, signal, step }) => (status === -1 && step === 'none' ? signal : 'wrong'))];
  });
  expect(seen).toEqual(sent);
});

test('the CPU time and the peak memory of the child', async () => {
  const { busy, idle, large } = await inFreshProcess(async ({ addon, plan, shell, nullConnection, exitOf, ...kit }) => {
    const python = kit.python();
    kit.openReaper();
    const run = (prepared: ReturnType<typeof plan>) =>
      exitOf(addon.spawn(prepared, { fd: nullConnection(), facts: '' }));
    return {
      busy: await run(plan([python, '-c', 'import time\nwhile time.process_time() < 0.2: pass'])),
      idle: await run(shell('exit 0')),
      large: await run(plan([python, '-c', 'bytearray(b"x") * (256 << 20)'])),
    };
  });
  expect(busy.cpuSeconds).toBeGreaterThan(0.15);
  expect(idle.cpuSeconds).toBeLessThan(busy.cpuSeconds);
  expect(large.rssKib).toBeGreaterThan(256 * 1024);
  expect(idle.rssKib).toBeLessThan(large.rssKib);
});

test('200 children that end at one moment, whose signals are merged', async () => {
  const { statuses, left } = await inFreshProcess(async (kit) => {
    const { addon, connection, shell, until, exits, children } = kit;
    kit.openReaper();
    const clients = [];
    for (let count = 0; count < 200; count += 1) {
      const { client, socket } = await connection();
      addon.spawn(shell('read line; exit 3'), { fd: socket.fd, facts: '' });
      clients.push(client);
    }
    for (const client of clients) client.end();
    await until(() => exits.size === 200);
    return { statuses: [...new Set([...exits.values()].map(({ status }) => status))], left: children() };
  });
  expect({ statuses, left }).toEqual({ statuses: [3], left: [] });
});

test('of 100 children that nothing announced the last are found at once, the others by the walk over everyone', async () => {
  const { recent, walked } = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie, reap }) => {
    const prepared = plan(['/bin/true']);
    const pids = Array.from({ length: 100 }, () => addon.spawn(prepared, { fd: nullConnection(), facts: '' }));
    await until(() => pids.every(isZombie));
    addon.openReaper(() => undefined);
    return { recent: reap(false), walked: reap(true) };
  });
  expect(recent).toBeGreaterThan(0);
  expect(walked).toBeGreaterThan(0);
  expect(recent + walked).toBe(100);
});

test('children that were announced are collected without a walk, one record each', async () => {
  const { collected, again, statuses } = await inFreshProcess(async ({ addon, shell, nullConnection, ...kit }) => {
    addon.openReaper(() => undefined);
    const pids = [];
    for (let count = 0; count < 20; count += 1) {
      const pid = addon.spawn(shell(`exit ${count}`), { fd: nullConnection(), facts: '' });
      pids.push(pid);
      await kit.until(() => kit.isZombie(pid));
    }
    const collected = kit.reap(false);
    return { collected, again: kit.reap(false), statuses: pids.map((pid) => kit.exits.get(pid)?.status) };
  });
  expect({ collected, again }).toEqual({ collected: 20, again: 0 });
  expect(statuses).toEqual(Array.from({ length: 20 }, (_, status) => status));
});

test('a call with room for few records collects few, and the next call the rest', async () => {
  const counts = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie }) => {
    addon.openReaper(() => undefined);
    for (let count = 0; count < 5; count += 1) {
      const pid = addon.spawn(plan(['/bin/true']), { fd: nullConnection(), facts: '' });
      await until(() => isZombie(pid));
    }
    const records = new Float64Array(2 * addon.reapFields);
    return [
      addon.reap(records),
      addon.reapWalk(records, 60_000),
      addon.reapWalk(records, 60_000),
      addon.reapWalk(records, 60_000),
    ];
  });
  expect(counts).toEqual([2, 2, 1, 0]);
});

test('an array without room for a whole record gets none, and nothing is written beyond it', async () => {
  const seen = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie, failureOf }) => {
    addon.openReaper(() => undefined);
    const pids = [1, 2].map(() => addon.spawn(plan(['/bin/true']), { fd: nullConnection(), facts: '' }));
    await until(() => pids.every(isZombie));
    const fields = addon.reapFields;
    const memory = new Float64Array(3 * fields + 10).fill(-7);
    const counts = [fields - 1, 2 * fields - 1].map((length) =>
      addon.reapWalk(memory.subarray(10, 10 + length), 60_000),
    );
    const failure = failureOf(() => addon.reap(new Uint8Array(800) as unknown as Float64Array));
    return { counts, around: [...memory.subarray(0, 10), ...memory.subarray(10 + fields)], failure };
  });
  expect(seen.counts).toEqual([0, 1]);
  expect([...new Set(seen.around)]).toEqual([-7]);
  expect(seen.failure).toMatchObject({ message: 'records is no Float64Array' });
});

test('a record has as many numbers as the addon says', async () => {
  const lengths = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie }) => {
    addon.openReaper(() => undefined);
    const pid = addon.spawn(plan(['/no/such/program']), { fd: nullConnection(), facts: '' });
    await until(() => isZombie(pid));
    const memory = new Float64Array(30).fill(-7);
    addon.reapWalk(memory, 60_000);
    return { said: addon.reapFields, written: memory.indexOf(-7) };
  });
  expect(lengths.written).toBe(lengths.said);
});

test('more exits than the ring of announcements holds are all collected', async () => {
  const count = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie, reap }) => {
    addon.openReaper(() => undefined);
    const prepared = plan(['/bin/true']);
    const pids = Array.from({ length: 1500 }, () => addon.spawn(prepared, { fd: nullConnection(), facts: '' }));
    await until(() => pids.every(isZombie));
    return reap(false) + reap(true);
  });
  expect(count).toBe(1500);
});

test('a walk whose time is over ends with the child that it has found', async () => {
  const counts = await inFreshProcess(async ({ addon, plan, nullConnection, until, isZombie }) => {
    const prepared = plan(['/bin/true']);
    const pids = Array.from({ length: 3 }, () => addon.spawn(prepared, { fd: nullConnection(), facts: '' }));
    await until(() => pids.every(isZombie));
    const records = new Float64Array(10 * addon.reapFields);
    return [0, 0, 60_000, 60_000].map((limitMs) => addon.reapWalk(records, limitMs));
  });
  expect(counts).toEqual([1, 1, 1, 0]);
});

test('by number those are collected who are named, and nobody else', async () => {
  const seen = await inFreshProcess(async ({ addon, shell, nullConnection, until, isZombie }) => {
    const pids = [3, 4, 5].map((status) => addon.spawn(shell(`exit ${status}`), { fd: nullConnection(), facts: '' }));
    await until(() => pids.every(isZombie));
    const records = new Float64Array(2 * addon.reapFields);
    const [first = 0, ...others] = pids.map(Number);
    const counts = [[0, -1, process.pid], [first, first], others].map((some) =>
      addon.reapThese(records, Int32Array.from(some)),
    );
    return { counts, others, last: [records[0], records[addon.reapFields]] };
  });
  expect(seen).toEqual({ counts: [0, 1, 2], others: seen.last, last: seen.others });
});

test('a stopped child is no exit', async () => {
  const seen = await inFreshProcess(async ({ addon, shell, nullConnection, until, exits, exitOf, stateOf, ...kit }) => {
    kit.openReaper();
    const pid = addon.spawn(shell('kill -STOP $$; exit 5'), { fd: nullConnection(), facts: '' });
    await until(() => stateOf(pid) === 'T');
    const whileStopped = exits.size + kit.reap(true);
    process.kill(pid, 'SIGCONT');
    return { whileStopped, status: (await exitOf(pid)).status };
  });
  expect(seen).toEqual({ whileStopped: 0, status: 5 });
});

testWith(ROOT)('as PID 1, orphans that we inherit are collected too', async () => {
  const statuses = await inFreshProcess(
    async ({ addon, shell, nullConnection, until, exits, openReaper }) => {
      openReaper();
      addon.spawn(shell('(exit 7) & (exit 8) & exit 1'), { fd: nullConnection(), facts: '' });
      await until(() => exits.size === 3);
      return [...exits.values()].map(({ status }) => status).sort();
    },
    undefined,
    ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'],
  );
  expect(statuses).toEqual([1, 7, 8]);
});

test('there is one reaper in a process', async () => {
  const failure = await inFreshProcess(({ addon, openReaper, failureOf }) => {
    openReaper();
    return failureOf(() => {
      addon.openReaper(() => undefined);
    });
  });
  expect(failure).toMatchObject({ code: 'EBUSY', syscall: 'sigaction' });
});
