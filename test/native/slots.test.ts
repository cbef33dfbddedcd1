/**
 * What a child borrows from us between clone and exec is lent to one child at a time, and always comes back:
 * native/spawn.cc.
 */
import { inFreshProcess } from './fresh-process';

const WAYS = [
  { way: 'clone', isFork: false },
  { way: 'fork', isFork: true },
];

// Under a sanitizer a fork copies the tables of terabytes.
test.each(WAYS.map((each) => ({ ...each, count: each.isFork ? 250 : 1000 })))(
  'each of $count children ($way) gets its own words and facts, though its plan is dropped at once',
  async (way) => {
    const wrong = await inFreshProcess(async (kit, { isFork, count }) => {
      const { addon, fs, shell, temporaryFolder, until, exits } = kit;
      addon.setPlainFork(isFork);
      kit.openReaper();
      const folder = temporaryFolder();
      const file = (index: number): string => `${folder}/${index}`;
      for (let index = 0; index < count; index += 1) {
        const output = fs.openSync(file(index), 'w') as ReturnType<typeof kit.nullConnection>;
        const prepared = shell(`echo ${index} $FACT $VARIABLE`, { environment: [`VARIABLE=v${index}`] });
        addon.spawn(prepared, { fd: output, facts: `FACT=f${index}\0` });
        if (index % 50 === 0) globalThis.gc?.();
        if (index % 100 === 0) await new Promise(setImmediate);
      }
      await until(() => exits.size === count);
      const lines = Array.from({ length: count }, (_, index) => fs.readFileSync(file(index), 'utf8'));
      return lines.filter((line, index) => line !== `${index} f${index} v${index}\n`).slice(0, 3);
    }, way);
    expect(wrong).toEqual([]);
  },
);

test.each(WAYS)('a slot is used again: 300 children ($way), one after the other, need one', async ({ isFork }) => {
  const slots = await inFreshProcess(async (kit, isFork) => {
    const { addon, plan, nullConnection, exitOf } = kit;
    addon.setPlainFork(isFork);
    kit.openReaper();
    const prepared = plan(['/bin/true']);
    for (let count = 0; count < 300; count += 1)
      await exitOf(addon.spawn(prepared, { fd: nullConnection(), facts: '' }));
    return kit.slotCount();
  }, isFork);
  expect(slots).toBe(1);
});

test('a child that runs holds no slot: 100 live ones need no more than were in set-up at once', async () => {
  const slots = await inFreshProcess(async (kit) => {
    const { addon, plan, connection, until } = kit;
    kit.openReaper();
    const prepared = plan(['/bin/cat']);
    for (let count = 0; count < 100; count += 1) {
      const { client, socket } = await connection();
      addon.spawn(prepared, { fd: socket.fd, facts: '' });
      client.write('x');
      await new Promise((resolve) => client.once('data', resolve));
      await until(() => !kit.openFds().includes(String(socket.fd)));
    }
    return kit.slotCount();
  });
  expect(slots).toBe(1);
});

test('each of 200 children that fail keeps its own reason until it is reaped, beside 200 that do not', async () => {
  const reasons = await inFreshProcess(async ({ addon, plan, nullConnection, exitOf, ...kit }) => {
    kit.openReaper();
    const plans = [
      plan(['/no/such/program']),
      plan(['/bin/true']),
      plan(['/bin/true'], { directory: '/no/such/folder' }),
    ];
    const pids = Array.from({ length: 600 }, (_, index) => {
      const prepared = plans[index % 3];
      return prepared === undefined ? 0 : addon.spawn(prepared, { fd: nullConnection(), facts: '' });
    });
    const seen = [new Set<string>(), new Set<string>(), new Set<string>()];
    for (const [index, pid] of pids.entries()) seen[index % 3]?.add((await exitOf(pid)).step);
    return seen.map((steps) => [...steps]);
  });
  expect(reasons).toEqual([['execve'], ['none'], ['chdir']]);
});

test('a spawn costs no descriptor: as many are open after 500 children as before', async () => {
  const [before, after] = await inFreshProcess(
    async ({ addon, plan, nullConnection, openFds, exits, until, ...kit }) => {
      kit.openReaper();
      const prepared = [plan(['/bin/true']), plan(['/no/such/program'])];
      const before = openFds();
      for (let count = 0; count < 250; count += 1) {
        for (const each of prepared) addon.spawn(each, { fd: nullConnection(), facts: '' });
      }
      await until(() => exits.size === 500);
      await until(() => openFds().length <= before.length);
      return [before, openFds()];
    },
  );
  expect(after).toEqual(before);
});

const LINGERS = `
import socket, struct
connection = socket.socket(fileno=0)
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
connection.setblocking(False)
try:
    while True: connection.send(b'x' * 65536)
except BlockingIOError: pass`;

test('a program that tells its connection to linger, and is gone before we let go of it, does not hold us up', async () => {
  const isClosed = await inFreshProcess(async (kit, script) => {
    kit.openReaper();
    const { client, socket } = await kit.connection();
    client.pause();
    const pid = kit.addon.spawn(kit.plan([kit.python(), '-c', script]), { fd: socket.fd, facts: '' });
    // We do not turn to the connection before the program is dead.
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    while (!kit.isZombie(pid)) Atomics.wait(nobody, 0, 0, 1);
    return kit.until(() => !kit.openFds().includes(String(socket.fd)));
  }, LINGERS);
  expect(isClosed).toBe(true);
});
