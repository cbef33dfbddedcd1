/**
 * What a child borrows from us between clone and exec is lent to one child at a time, and always comes back:
 * native/spawn.cc.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith, X64 } from './needs';

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

/** Leaves a process behind that holds the lock of an epoll set with the connection in it, and tells its pid. */
const HOLDS_SET = `
import ctypes, fcntl, os, select, signal, struct, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
is_held, hold = os.pipe()
epoll = select.epoll()
epoll.register(0)
holder = os.fork()
if holder == 0:
    signal.alarm(600)
    for fd in (0, 1, 2): os.close(fd)
    ready, filled = os.pipe()
    os.write(filled, b'x')
    epoll.register(ready)
    page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
    fault = libc.syscall(323, os.O_CLOEXEC)
    fcntl.ioctl(fault, 0xC018AA3F, struct.pack('QQQ', 0xAA, 0, 0))
    fcntl.ioctl(fault, 0xC020AA00, struct.pack('QQQQ', page, 4096, 1, 0))
    threading.Thread(target=libc.epoll_wait, args=(epoll.fileno(), ctypes.c_void_p(page), 8, -1)).start()
    os.read(fault, 32)
    os.write(hold, b'x')
    signal.pause()
os.read(is_held, 1)
os.write(1, str(holder).encode())`;

testWith(ROOT, X64)(
  'a program that leaves a connection behind which cannot be closed does not hold us up',
  async () => {
    const answer = await inFreshProcess(async (kit, script) => {
      const held = kit.plan([kit.python(), '-c', script]);
      const [echo, { client, socket }] = [kit.plan(['/bin/cat']), await kit.connection()];
      const holder = new Promise<string>((resolve) => client.setEncoding('utf8').once('data', resolve));
      kit.openReaper();
      const pid = kit.addon.spawn(held, { fd: socket.fd, facts: '' });
      const nobody = new Int32Array(new SharedArrayBuffer(4));
      while (!kit.isZombie(pid)) Atomics.wait(nobody, 0, 0, 1);
      await kit.until(() => !kit.openFds().includes(String(socket.fd)));
      const next = await kit.connection();
      kit.addon.spawn(echo, { fd: next.socket.fd, facts: '' });
      next.client.end('hello');
      const answer = await kit.readAll(next.client);
      // Until it is gone this process cannot end.
      process.kill(Number(await holder), 'SIGKILL');
      return answer;
    }, HOLDS_SET);
    expect(answer).toBe('hello');
  },
);
