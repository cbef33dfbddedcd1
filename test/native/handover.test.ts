/**
 * Sockets that change hands: what a child of a `wait` service finds and leaves behind, and sockets of somebody else.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith, tool } from './needs';

const PYTHON = tool('python3');
const WAYS = [
  { way: 'clone', isFork: false },
  { way: 'fork', isFork: true },
];
const ECONNREFUSED = 111;

describe.each(WAYS)('a child that is handed the socket itself, made by $way', ({ isFork }) => {
  testWith(PYTHON)('has it on fds 0, 1, 2 and 3, blocking, and no other descriptor', async () => {
    const { told, inode } = await inFreshProcess(async (kit, isFork) => {
      const { addon, fs, listen, nullConnection, python, plan, openReaper, exitOf, temporaryFolder } = kit;
      addon.setPlainFork(isFork);
      const file = `${temporaryFolder()}/told`;
      const script = `
import os, sys
links = [(fd, os.readlink('/proc/self/fd/' + fd)) for fd in sorted(os.listdir('/proc/self/fd')) if os.path.exists('/proc/self/fd/' + fd)]
open(sys.argv[1], 'w').write(f'{links} {[os.get_blocking(fd) for fd in range(4)]}')`;
      const prepared = plan([python(), '-c', script, file], { isWait: true });
      openReaper();
      for (let count = 0; count < 20; count += 1) nullConnection();
      const { fd } = listen();
      const inode = fs.readlinkSync(`/proc/self/fd/${fd}`);
      addon.setBlocking(fd, true);
      await exitOf(addon.spawn(prepared, { fd, facts: '' }));
      return { told: fs.readFileSync(file, 'utf8'), inode };
    }, isFork);
    const links = ['0', '1', '2', '3'].map((fd) => `('${fd}', '${inode}')`).join(', ');
    expect(told).toBe(`[${links}] [True, True, True, True]`);
  });

  testWith(PYTHON)('has its fd 2 where the plan says, and the socket on the others', async () => {
    const told = await inFreshProcess(async ({ addon, listen, borrower, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      const ask = borrower(`tell([os.fstat(fd).st_ino == os.fstat(0).st_ino for fd in range(4)])`);
      openReaper();
      return (await ask(listen().fd)).told;
    }, isFork);
    expect(told).toBe('[True, True, False, True]\n');
  });

  testWith(PYTHON)('is told its own pid', async () => {
    const { told, pid } = await inFreshProcess(async ({ addon, listen, borrower, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      const ask = borrower(`tell(os.getpid(), [os.environ['LISTEN_' + name] for name in ('FDS', 'PID', 'FDNAMES')])`);
      openReaper();
      const { told, exit } = await ask(listen().fd, 'LISTEN_FDS=1\0LISTEN_FDNAMES=echo\0');
      return { told, pid: String(exit.pid) };
    }, isFork);
    expect(told).toBe(`${pid} ['1', '${pid}', 'echo']\n`);
  });

  testWith(PYTHON, tool('strace'))(
    'gets that very socket, though we close it at once and its number is used again',
    async () => {
      const seen = await inFreshProcess(async ({ addon, listen, borrower, openReaper, ...kit }, isFork) => {
        addon.setPlainFork(isFork);
        const ask = borrower(`tell(s.getsockname()[1])`);
        await kit.inject('close_range:delay_enter=100000');
        openReaper();
        const before = kit.openFds();
        const lent = listen();
        const answer = ask(lent.fd);
        addon.close(lent.fd);
        const next = listen();
        const { told } = await answer;
        addon.close(next.fd);
        await kit.until(() => kit.openFds().length === before.length);
        return { told, port: lent.port, isSameNumber: next.fd === lent.fd, left: kit.openFds(), before };
      }, isFork);
      expect(seen).toMatchObject({ told: `${seen.port}\n`, isSameNumber: true, left: seen.before });
    },
  );

  testWith(PYTHON)('serves a client of the queue, and our descriptor listens on when it is gone', async () => {
    const seen = await inFreshProcess(async (kit, isFork) => {
      const { addon, listen, connect, accept, readAll, borrower, openReaper } = kit;
      addon.setPlainFork(isFork);
      const script = `connection, _ = s.accept()
connection.sendall(b'served')`;
      const serve = borrower(script);
      openReaper();
      const { fd, port } = listen();
      const reply = connect(port).then(readAll);
      addon.setBlocking(fd, true);
      await serve(fd);
      addon.setBlocking(fd, false);
      const client = await connect(port);
      const { peerPort } = await accept(fd);
      const isStillOurs = addon.isUsable(fd, false);
      return { reply: await reply, isStillOurs, isNext: peerPort === client.localPort };
    }, isFork);
    expect(seen).toEqual({ reply: 'served', isStillOurs: true, isNext: true });
  });

  test.each([{ path: '/no/such/program' }, { directory: '/no/such/folder' }])(
    'that could not be started (%p) has not shut the socket',
    async (fault) => {
      const seen = await inFreshProcess(
        async ({ addon, listen, connect, accept, plan, openReaper, exitOf }, { fault, isFork }) => {
          addon.setPlainFork(isFork);
          openReaper();
          const { fd, port } = listen();
          const early = await connect(port);
          const { status } = await exitOf(
            addon.spawn(plan(['/bin/cat'], { isWait: true, ...fault }), { fd, facts: '' }),
          );
          const first = (await accept(fd)).peerPort === early.localPort;
          const late = await connect(port);
          return { status, queued: first, next: (await accept(fd)).peerPort === late.localPort };
        },
        { fault, isFork },
      );
      expect(seen).toEqual({ status: 127, queued: true, next: true });
    },
  );

  test('is not made when there is no descriptor for it, and the socket is still ours', async () => {
    const seen = await inFreshProcess(async (kit, isFork) => {
      kit.addon.setPlainFork(isFork);
      const { fd } = kit.listen();
      const prepared = kit.plan(['/bin/cat'], { isWait: true });
      // Where nothing is wrong, once: UBSan needs descriptors when it first sees a type.
      const before = kit.openFds().length;
      kit.addon.spawn(prepared, { fd, facts: '' });
      await kit.until(() => kit.openFds().length === before);
      const taken = kit.takeEveryFd();
      const failure = kit.failureOf(() => kit.addon.spawn(prepared, { fd, facts: '' }));
      for (const each of taken) kit.addon.close(each);
      return { failure, isUsable: kit.addon.isUsable(fd, false) };
    }, isFork);
    expect(seen).toMatchObject({ failure: { code: 'EMFILE', syscall: 'fcntl' }, isUsable: true });
  });

  test('that could not be started leaves the datagrams in the queue', async () => {
    const peers = await inFreshProcess(async (kit, isFork) => {
      const { addon, bind, internet, sendDatagrams, plan, openReaper, exitOf, until } = kit;
      addon.setPlainFork(isFork);
      openReaper();
      const { fd, port } = bind(internet('datagram'));
      const from = await sendDatagrams(port, 'unread');
      const before = await until(() => addon.headOf(fd));
      const prepared = plan(['/no/such/program'], { isWait: true });
      await exitOf(addon.spawn(prepared, { fd, facts: '' }));
      return [before.peerPort, addon.headOf(fd)?.peerPort, from];
    }, isFork);
    expect(new Set(peers).size).toBe(1);
  });
});

describe('words and folder of one child', () => {
  test('take the place of those of the plan, empty words included', async () => {
    const output = await inFreshProcess(async ({ addon, connection, plan, readAll, openReaper }) => {
      openReaper();
      const { client, socket } = await connection();
      const words = ['sh', '-c', 'printf "%s|" "$0" "$@"; pwd', '', '', 'two words', ''];
      const prepared = plan(['sh', '-c', 'echo the plan'], { path: '/bin/sh', directory: '/etc' });
      addon.spawn(prepared, {
        fd: socket.fd,
        facts: '',
        words: words.map((word) => `${word}\0`).join(''),
        directory: '/usr',
      });
      return readAll(client);
    });
    expect(output).toBe('||two words||/usr\n');
  });

  test('are those of the plan again for the next child', async () => {
    const outputs = await inFreshProcess(async ({ addon, connection, plan, readAll, openReaper, outputOf }) => {
      openReaper();
      const prepared = plan(['sh', '-c', 'echo "plan $(pwd)"'], { path: '/bin/sh', directory: '/etc' });
      const { client, socket } = await connection();
      addon.spawn(prepared, { fd: socket.fd, facts: '', words: 'sh\0-c\0echo "own $(pwd)"\0', directory: '/usr' });
      return [await readAll(client), (await outputOf(prepared)).output];
    });
    expect(outputs).toEqual(['own /usr\n', 'plan /etc\n']);
  });

  test('of many children at once do not mix', async () => {
    const outputs = await inFreshProcess(async ({ addon, connection, plan, readAll, openReaper }) => {
      openReaper();
      const prepared = plan(['unused'], { path: '/bin/sh' });
      const numbers = Array.from({ length: 50 }, (_, index) => index);
      const pairs = await Promise.all(numbers.map(() => connection()));
      const outputs = pairs.map(({ client }) => readAll(client));
      for (const [index, { socket }] of pairs.entries()) {
        addon.spawn(prepared, {
          fd: socket.fd,
          facts: `FACT=${index}\0`,
          words: `sh\0-c\0echo "$0 $FACT"\0${index}\0`,
          directory: '/',
        });
      }
      return Promise.all(outputs);
    });
    expect(outputs).toEqual(outputs.map((_, index) => `${index} ${index}\n`));
  });
});

describe('the head of a queue of datagrams', () => {
  test.each([
    { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port: 0 },
    { family: 'unix', type: 'datagram', path: `@stdiod-test-${process.pid}` },
  ] as const)(
    'is the same until it is read, and differs from the next one with the same content: %p',
    async (address) => {
      const seen = await inFreshProcess(async ({ addon, bind, until, runPython }, address) => {
        const { fd, port } = bind(address);
        const empty = addon.headOf(fd);
        const target = address.family === 'unix' ? `'\\0${address.path.slice(1)}'` : `('127.0.0.1', ${port})`;
        const kind = address.family === 'unix' ? 'AF_UNIX' : 'AF_INET';
        await runPython(`s = socket.socket(socket.${kind}, socket.SOCK_DGRAM)
for _ in range(3): s.sendto(b'ping', ${target})`);
        await until(() => addon.headOf(fd));
        const identities = [];
        for (let head = addon.headOf(fd); head !== null; head = addon.headOf(fd)) {
          identities.push(head.identity, addon.headOf(fd)?.identity);
          addon.dropHead(fd);
        }
        return { empty, identities, left: addon.headOf(fd) };
      }, address);
      const [one, again, two, twoAgain, three] = seen.identities;
      expect([again, twoAgain]).toEqual([one, two]);
      expect(new Set([one, two, three]).size).toBe(3);
      expect(seen).toMatchObject({ empty: null, left: null });
      expect(seen.identities).toHaveLength(6);
    },
  );

  test('names its sender', async () => {
    const seen = await inFreshProcess(async ({ addon, bind, internet, sendDatagrams, until }) => {
      const { fd, port } = bind(internet('datagram'));
      const from = await sendDatagrams(port, 'ping');
      const { peerAddress, peerPort } = await until(() => addon.headOf(fd));
      return { peerAddress, isSender: peerPort === from };
    });
    expect(seen).toEqual({ peerAddress: '127.0.0.1', isSender: true });
  });

  test('may be empty, and is dropped alone', async () => {
    const seen = await inFreshProcess(async ({ addon, bind, internet, sendDatagrams, until }) => {
      const { fd, port } = bind(internet('datagram'));
      const senders = [await sendDatagrams(port, ''), await sendDatagrams(port, 'x'.repeat(9000))];
      const first = await until(() => addon.headOf(fd));
      addon.dropHead(fd);
      const second = await until(() => addon.headOf(fd));
      addon.dropHead(fd);
      addon.dropHead(fd);
      return [first.peerPort === senders[0], second.peerPort === senders[1], addon.headOf(fd)];
    });
    expect(seen).toEqual([true, true, null]);
  });

  testWith(PYTHON)('was looked at without a trace: the child reads it whole and gets no control message', async () => {
    const told = await inFreshProcess(async ({ addon, bind, internet, sendDatagrams, until, borrower, openReaper }) => {
      const ask = borrower('data, control, flags, peer = s.recvmsg(100, 1000)\ntell(data, control, flags)');
      openReaper();
      const { fd, port } = bind(internet('datagram'));
      await sendDatagrams(port, 'ping');
      await until(() => addon.headOf(fd));
      return (await ask(fd)).told;
    });
    expect(told).toBe("b'ping' [] 0\n");
  });
});

describe('the queue of a listener', () => {
  test('has a length over TCP', async () => {
    const lengths = await inFreshProcess(async ({ addon, listen, connect, accept, until }) => {
      const { fd, port } = listen();
      const empty = addon.queueLength(fd);
      for (let count = 0; count < 3; count += 1) await connect(port);
      await until(() => addon.queueLength(fd) === 3);
      await accept(fd);
      return [empty, addon.queueLength(fd)];
    });
    expect(lengths).toEqual([0, 2]);
  });

  test('is empty or not, over a Unix socket', async () => {
    const lengths = await inFreshProcess(async ({ addon, net, bind, accept, until, temporaryFolder }) => {
      const path = `${temporaryFolder()}/socket`;
      const { fd } = bind({ family: 'unix', type: 'stream', path });
      const empty = addon.queueLength(fd);
      for (let count = 0; count < 2; count += 1) net.connect(path);
      await until(() => addon.hasWaiting(fd));
      const full = addon.queueLength(fd);
      for (let count = 0; count < 2; count += 1) await accept(fd);
      return [empty, full, addon.queueLength(fd)];
    });
    expect(lengths).toEqual([0, 1, 0]);
  });
});

describe('a socket that a child has shut down', () => {
  const TCP = { family: 'ipv4', type: 'stream', address: '127.0.0.1', port: 0 } as const;
  const UDP = { ...TCP, type: 'datagram' } as const;
  const UNIX = { family: 'unix', type: 'stream', path: `@stdiod-test-${process.pid}-shut` } as const;
  const PACKETS = { ...UNIX, type: 'seqpacket' } as const;
  const DATAGRAMS = { ...UNIX, type: 'datagram' } as const;

  for (const address of [TCP, UDP, UNIX, PACKETS, DATAGRAMS]) {
    testWith(PYTHON)(`is of no use any more, and was before: ${address.family} ${address.type}`, async () => {
      const seen = await inFreshProcess(async ({ addon, bind, borrower, openReaper }, address) => {
        const script = `
try:
    s.shutdown(socket.SHUT_RDWR)
except OSError:
    pass`;
        const shut = borrower(script);
        openReaper();
        const { fd } = bind(address);
        const before = addon.isUsable(fd, address.type === 'datagram');
        await shut(fd);
        return { before, after: addon.isUsable(fd, address.type === 'datagram') };
      }, address);
      expect(seen).toEqual({ before: true, after: false });
    });
  }
});

test('blocking is for all who hold the socket, and is put back', async () => {
  const seen = await inFreshProcess(({ addon, listen, flagsOf, failureOf }) => {
    const { fd } = listen();
    const states = [true, true, false, false].map((isBlocking) => {
      addon.setBlocking(fd, isBlocking);
      return flagsOf(fd).isNonBlocking;
    });
    const closed = 9999 as typeof fd;
    const failure = failureOf(() => {
      addon.setBlocking(closed, true);
    });
    return { states, code: failure?.['code'], syscall: failure?.['syscall'] };
  });
  expect(seen).toEqual({ states: [false, false, true, true], code: 'EBADF', syscall: 'ioctl' });
});

describe('a socket that somebody passed to us', () => {
  /** Runs us with sockets on 3, 4, … as Python expressions make them. */
  function passing(...sockets: string[]): string[] {
    const script = `
import os, socket, sys
def bound(family, type, address):
    s = socket.socket(family, type)
    s.bind(address)
    return s
def listening(s):
    s.listen()
    return s
passed = [${sockets.join(', ')}]
high = [os.dup(s.fileno()) if hasattr(s, 'fileno') else s for s in passed]
high = [__import__('fcntl').fcntl(fd, 0, 50) for fd in high]
for index, fd in enumerate(high):
    os.dup2(fd, 3 + index)
os.execv(sys.argv[1], sys.argv[1:])`;
    return ['python3', '-c', script];
  }

  testWith(PYTHON)('is what it is, moved up and close-on-exec, and its number is free', async () => {
    const name = `stdiod-test-${process.pid}-passed`;
    const seen = await inFreshProcess(
      ({ addon, fs, flagsOf }) =>
        [3, 4, 5, 6].map((number) => {
          const { fd, port, ...facts } = addon.takePassed(number);
          const moved = [Number(fd) >= 1024, flagsOf(fd).isCloseOnExec, fs.existsSync(`/proc/self/fd/${number}`)];
          return { ...facts, hasPort: port > 0, moved };
        }),
      undefined,
      passing(
        `listening(bound(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', 0)))`,
        `bound(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 0))`,
        `listening(bound(socket.AF_UNIX, socket.SOCK_SEQPACKET, '\\0${name}'))`,
        `socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)`,
      ),
    );
    const moved = [true, true, false];
    const own = { moved, hasPort: false };
    expect(seen).toEqual([
      { family: 'ipv4', type: 'stream', isListening: true, address: '127.0.0.1', hasPort: true, moved },
      { family: 'ipv4', type: 'datagram', isListening: false, address: '127.0.0.1', hasPort: true, moved },
      { family: 'unix', type: 'seqpacket', isListening: true, address: `@${name}`, ...own },
      { family: 'unix', type: 'stream', isListening: false, address: '', ...own },
    ]);
  });

  testWith(PYTHON)('stays low, but never below 3, where the limit on open files is small', async () => {
    const seen = await inFreshProcess(
      ({ addon, flagsOf, setLimit }) => {
        setLimit('nofile', 512);
        const { fd } = addon.takePassed(3);
        return { fd: Number(fd), ...flagsOf(fd) };
      },
      undefined,
      passing(`listening(bound(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', 0)))`),
    );
    expect(seen.fd).toBeGreaterThanOrEqual(3);
    expect(seen.isCloseOnExec).toBe(true);
  });

  testWith(PYTHON)('and is none is an error, and stays as it is', async () => {
    const seen = await inFreshProcess(
      ({ addon, fs, failureOf }) => {
        const file = failureOf(() => addon.takePassed(3));
        const nothing = failureOf(() => addon.takePassed(9999));
        return {
          codes: [file?.['code'], nothing?.['code'], file?.['syscall']],
          link: fs.readlinkSync('/proc/self/fd/3'),
        };
      },
      undefined,
      passing(`os.open('/dev/null', os.O_RDWR)`),
    );
    expect(seen).toEqual({ codes: ['ENOTSOCK', 'EBADF', 'getsockname'], link: '/dev/null' });
  });
});

describe('who listens at a path', () => {
  test('is told: somebody, nobody any more, nobody ever', async () => {
    const seen = await inFreshProcess(({ addon, bind, temporaryFolder }) => {
      const folder = temporaryFolder();
      return (['stream', 'datagram', 'seqpacket'] as const).map((type) => {
        const address = { family: 'unix', type, path: `${folder}/${type}` } as const;
        const never = addon.whoListens(address);
        const { fd } = bind(address);
        const live = addon.whoListens(address);
        addon.close(fd);
        return [never, live, addon.whoListens(address)];
      });
    });
    const ENOENT = 2;
    expect(seen).toEqual(seen.map(() => [ENOENT, 0, ECONNREFUSED]));
  });

  test('is somebody who has a socket of another type there', async () => {
    const seen = await inFreshProcess(({ addon, bind, temporaryFolder }) => {
      const path = `${temporaryFolder()}/socket`;
      bind({ family: 'unix', type: 'datagram', path });
      return (['stream', 'seqpacket'] as const).map((type) => addon.whoListens({ family: 'unix', type, path }));
    });
    expect(seen).toEqual([0, 0]);
  });

  test('is somebody whose queue is full', async () => {
    const seen = await inFreshProcess(({ addon, net, bind, until, temporaryFolder }) => {
      const address = { family: 'unix', type: 'stream', path: `${temporaryFolder()}/socket` } as const;
      const { fd } = bind(address, { backlog: 1 });
      const clients = Array.from({ length: 5 }, () => net.connect(address.path).on('error', () => undefined));
      return until(() => clients.length > 0 && addon.hasWaiting(fd)).then(() => addon.whoListens(address));
    });
    expect(seen).toBe(0);
  });

  testWith(ROOT)('is not known where we may not ask', async () => {
    const error = await inFreshProcess(({ addon, bind, becomeNobody, temporaryFolder }) => {
      const address = { family: 'unix', type: 'stream', path: `${temporaryFolder()}/socket` } as const;
      bind(address);
      becomeNobody();
      return addon.whoListens(address);
    });
    const EACCES = 13;
    expect(error).toBe(EACCES);
  });

  test('is asked without a trace: a descriptor is not left behind', async () => {
    const [before, after] = await inFreshProcess(({ addon, bind, openFds, temporaryFolder }) => {
      const address = { family: 'unix', type: 'stream', path: `${temporaryFolder()}/socket` } as const;
      bind(address);
      const before = openFds();
      for (let times = 0; times < 10; times += 1) addon.whoListens(address);
      return [before, openFds()];
    });
    expect(after).toEqual(before);
  });
});
