/**
 * What a child finds when its program starts, with /proc and standard programs as witnesses: native/spawn.cc and
 * native/child.cc. Everything is promised for both ways of making a child.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith, tool } from './needs';

const WAYS = [
  { way: 'clone', isFork: false },
  { way: 'fork', isFork: true },
];

testWith(tool('strace'))(
  'a child that shares our memory gets no score for the want of it, which would be ours as well',
  async () => {
    const [before, after] = await inFreshProcess(async ({ addon, fs, connection, plan, openReaper, inject }) => {
      const own = (): string => fs.readFileSync('/proc/self/oom_score_adj', 'latin1');
      const before = own();
      openReaper();
      const { socket } = await connection();
      await inject('close_range:delay_enter=1000000');
      const pid = addon.spawn(plan(['/bin/true']), { fd: socket.fd, facts: '' });
      addon.setOomScore(pid, 500);
      return [before, own()];
    });
    expect(after).toBe(before);
  },
);

describe.each(WAYS)('a child made by $way', ({ isFork }) => {
  test('has its connection on fds 0, 1 and 2, in blocking mode, and no other descriptor', async () => {
    const seen = await inFreshProcess(async (kit, isFork) => {
      const { addon, fs, connection, plan, openReaper, nullConnection, listen, until, flagsOf } = kit;
      addon.setPlainFork(isFork);
      openReaper();
      for (let count = 0; count < 50; count += 1) {
        nullConnection();
        listen();
      }
      const { client, socket } = await connection();
      const after = [nullConnection(), nullConnection()].length;
      const inode = fs.readlinkSync(`/proc/self/fd/${socket.fd}`);
      const pid = addon.spawn(plan(['/bin/cat']), { fd: socket.fd, facts: '' });
      client.write('started');
      await new Promise((resolve) => client.once('data', resolve));
      const links = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, fs.readlinkSync(`/proc/${pid}/fd/${fd}`)]);
      const { isNonBlocking } = flagsOf(0, pid);
      client.end();
      await until(() => kit.exits.get(pid));
      return { links, expected: ['0', '1', '2'].map((fd) => [fd, inode]), isNonBlocking, after };
    }, isFork);
    expect(seen.links).toEqual(seen.expected);
    expect(seen.isNonBlocking).toBe(false);
  });

  test('of a blind plan has nothing of the connection, which stays ours', async () => {
    const seen = await inFreshProcess(
      async ({ addon, fs, connection, shell, openReaper, until, exits, flagsOf, readAll }, isFork) => {
        addon.setPlainFork(isFork);
        openReaper();
        const { client, socket } = await connection();
        const sink = fs.openSync('/dev/null', 'r+');
        const { reader, writer } = addon.openPipe(null);
        const script = 'readlink /proc/$$/fd/0; readlink /proc/$$/fd/1 >&2; ls /proc/$$/fd | wc -l; cat';
        const start = { fd: socket.fd, facts: '', errorPipe: writer };
        const pid = addon.spawn(shell(script, { stderrFd: sink, isBlind: true }), start);
        const { status } = await until(() => exits.get(pid));
        const said = Buffer.alloc(1000);
        const lines = said.toString('utf8', 0, addon.readPipe(reader, said)).trim().split('\n');
        const pipe = fs.readlinkSync(`/proc/self/fd/${reader}`);
        const flags = flagsOf(socket.fd);
        addon.spawn(shell('read line; echo "served $line"'), { fd: socket.fd, facts: '' });
        client.write('after all\n');
        return { status, lines, pipe, flags, reply: await readAll(client) };
      },
      isFork,
    );
    expect(seen.lines).toEqual(['/dev/null', seen.pipe, '3']);
    expect(seen).toMatchObject({ status: 0, reply: 'served after all\n' });
    expect(seen.flags).toEqual({ isCloseOnExec: true, isNonBlocking: false });
  });

  testWith(tool('strace'))(
    'counts as on its way, for as long as the caller asks about, until its program runs',
    async () => {
      const seen = await inFreshProcess(
        async ({ addon, connection, plan, openReaper, inject, until, exits }, isFork) => {
          addon.setPlainFork(isFork);
          openReaper();
          const [cat, other] = [plan(['/bin/cat']), plan(['/bin/cat'])];
          const { socket } = await connection();
          await inject('close_range:delay_enter=1000000');
          const pid = addon.spawn(cat, { fd: socket.fd, facts: '' });
          const counted = addon.countInSetup(cat, 60_000);
          const [ofOthers, older] = [addon.countInSetup(other, 60_000), addon.countInSetup(cat, 0)];
          await until(() => addon.countInSetup(cat, 60_000) === 0);
          return { counted, ofOthers, older, isAlive: !exits.has(pid) };
        },
        isFork,
      );
      expect(seen).toEqual({ counted: 1, ofOthers: 0, older: 0, isAlive: true });
    },
  );

  test('has its fd 2 where the plan says', async () => {
    const [output, errors] = await inFreshProcess(async (kit, isFork) => {
      const { addon, fs, outputOf, shell, openReaper, temporaryFolder } = kit;
      addon.setPlainFork(isFork);
      openReaper();
      const file = `${temporaryFolder()}/errors`;
      const { output } = await outputOf(shell('echo out; echo err >&2', { stderrFd: fs.openSync(file, 'w') }));
      return [output, fs.readFileSync(file, 'utf8')];
    }, isFork);
    expect([output, errors]).toEqual(['out\n', 'err\n']);
  });

  test('sees its words as they were given: an empty one, a space, any letter, any name of its own', async () => {
    const output = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const argv = ['-/a name', '-c', 'printf "%s|" "$0" "$@"', 'zero', '', 'two words', 'ünï', '-n'];
      return (await outputOf(plan(argv, { path: '/bin/sh' }))).output;
    }, isFork);
    expect(output).toBe('zero||two words|ünï|-n|');
  });

  test('has its own name in the place of the path', async () => {
    const output = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      return (await outputOf(plan(['my name', '/proc/self/cmdline'], { path: '/bin/cat' }))).output;
    }, isFork);
    expect(output).toBe('my name\0/proc/self/cmdline\0');
  });

  test('has the facts and the variables of its plan as environment, and nothing of ours', async () => {
    const output = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const prepared = plan(['/usr/bin/env'], { environment: ['PATH=/bin', 'EMPTY=', 'A=b=c', 'Ü=ß'] });
      return (await outputOf(prepared, 'ONE=1\0TWO=two words\0')).output;
    }, isFork);
    expect(output).toBe('ONE=1\nTWO=two words\nPATH=/bin\nEMPTY=\nA=b=c\nÜ=ß\n');
  });

  test('has a session and a process group of its own', async () => {
    const seen = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const { output, exit } = await outputOf(plan(['/bin/cat', '/proc/self/stat']));
      const [, , group, session] = output.slice(output.lastIndexOf(')') + 2).split(' ');
      return { pid: exit.pid, group: Number(group), session: Number(session) };
    }, isFork);
    expect(seen).toEqual({ pid: seen.pid, group: seen.pid, session: seen.pid });
  });

  test('has every signal at its default and none blocked, although Node ignores and catches some', async () => {
    const status = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR2'] as const) process.on(signal, () => undefined);
      return (await outputOf(plan(['/bin/cat', '/proc/self/status']))).output;
    }, isFork);
    for (const set of ['SigBlk', 'SigIgn', 'SigCgt', 'SigPnd', 'ShdPnd'])
      expect(status).toMatch(`${set}:\t0000000000000000\n`);
  });

  test('has the umask and the folder of its plan', async () => {
    const output = await inFreshProcess(async ({ addon, outputOf, shell, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      return (await outputOf(shell('umask; pwd', { umask: 0o027, directory: '/usr' }))).output;
    }, isFork);
    expect(output).toBe('0027\n/usr\n');
  });

  test('has the soft limit on open files of its plan, and our hard one', async () => {
    const [output, hard] = await inFreshProcess(async ({ addon, fs, outputOf, shell, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const [, , hard] = /^Max open files +(\d+) +(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8')) ?? [];
      const { output } = await outputOf(
        shell('ulimit -Sn; ulimit -Hn', { steps: [{ op: 'prlimit', args: [7, 333, -2] }] }),
      );
      return [output, hard];
    }, isFork);
    expect(output).toBe(`333\n${hard ?? ''}\n`);
  });

  testWith(ROOT)('has the ids of its plan, in all their places, and no capability', async () => {
    const status = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const identity = { uid: 65534, gid: 4711, groups: [4711, 4712, 70000] };
      return (await outputOf(plan(['/bin/cat', '/proc/self/status'], { identity }))).output;
    }, isFork);
    expect(status).toMatch('Uid:\t65534\t65534\t65534\t65534\n');
    expect(status).toMatch('Gid:\t4711\t4711\t4711\t4711\n');
    expect(status).toMatch('Groups:\t4711 4712 70000 \n');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(status).toMatch(`${set}:\t0000000000000000\n`);
  });

  testWith(ROOT)('may have no group but its own, or more than a hundred', async () => {
    const seen = await inFreshProcess(async ({ addon, outputOf, plan, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const groupsOf = async (groups: number[]): Promise<string> => {
        const { output } = await outputOf(plan(['/usr/bin/id', '-G'], { identity: { uid: 65534, gid: 4711, groups } }));
        return output.trim();
      };
      const many = Array.from({ length: 150 }, (_, index) => 10_000 + index);
      return { none: await groupsOf([]), many: await groupsOf(many), expected: `4711 ${many.join(' ')}` };
    }, isFork);
    expect(seen.none).toBe('4711');
    expect(seen.many).toBe(seen.expected);
  });

  test('takes the connection with it: soon nobody else holds it, and its end is what the client sees', async () => {
    const { before, after, reply } = await inFreshProcess(async (kit, isFork) => {
      const { addon, connection, shell, readAll, until, openFds } = kit;
      addon.setPlainFork(isFork);
      kit.openReaper();
      await kit.outputOf(shell('exit 0'));
      const { client, socket } = await connection();
      const before = openFds().filter((fd) => fd !== String(socket.fd));
      addon.spawn(shell('read line; echo "$line"'), { fd: socket.fd, facts: '' });
      await until(() => !openFds().includes(String(socket.fd)));
      const after = openFds();
      client.write('still here\n');
      return { before, after, reply: await readAll(client) };
    }, isFork);
    expect(after).toEqual(before);
    expect(reply).toBe('still here\n');
  });

  test('is left alone with its connection soon, though nothing else happens: the client sees when it closes it', async () => {
    const ends = await inFreshProcess(async (kit, isFork) => {
      const { addon, fs, connection, shell, fifo } = kit;
      addon.setPlainFork(isFork);
      const paths = Array.from({ length: 8 }, () => fs.readlinkSync(`/proc/self/fd/${fifo()}`));
      kit.openReaper();
      const seen = [];
      for (const path of paths) {
        const { client, socket } = await connection();
        // It lives on, without the connection, until somebody writes to the pipe.
        addon.spawn(shell(`exec 0<&- 1>&- 2>&-; read line <'${path}'`), { fd: socket.fd, facts: '' });
        seen.push(await kit.readAll(client));
        client.destroy();
      }
      const living = kit.children().length;
      for (const path of paths) fs.writeFileSync(path, '\n');
      await kit.until(() => kit.exits.size === paths.length);
      return { seen, living };
    }, isFork);
    expect(ends).toEqual({ seen: Array(8).fill(''), living: 8 });
  });

  test('leaves our own signals, session, folder and umask as they were', async () => {
    const [before, after] = await inFreshProcess(async ({ addon, fs, outputOf, shell, openReaper }, isFork) => {
      addon.setPlainFork(isFork);
      openReaper();
      const state = (): string[] => {
        const status = fs
          .readFileSync('/proc/self/status', 'utf8')
          .match(/^(Umask|Sig(Blk|Ign|Cgt)|[UG]id|Groups).*$/gm);
        const stat = fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ').slice(1, 4) ?? [];
        return [...(status ?? []), ...stat, process.cwd()];
      };
      addon.startAside();
      const before = state();
      await outputOf(shell('true', { umask: 0o777, directory: '/usr' }));
      return [before, state()];
    }, isFork);
    expect(after).toEqual(before);
  });
});

testWith(ROOT)(
  'a child may be the first process of a pid namespace, and is known to us by a number of ours',
  async () => {
    const CLONE_NEWPID = 0x2000_0000;
    const { output, exit } = await inFreshProcess(({ shell, outputOf, openReaper }, cloneFlags) => {
      openReaper();
      return outputOf(shell('echo $$', { cloneFlags }));
    }, CLONE_NEWPID);
    expect(output).toBe('1\n');
    expect(exit.pid).toBeGreaterThan(1);
  },
);

test('how much a child shares with us is not for its plan to say', async () => {
  const CLONE_THREAD = 0x0001_0000;
  const failure = await inFreshProcess(
    ({ plan, failureOf }, cloneFlags) => failureOf(() => plan(['/bin/true'], { cloneFlags })),
    CLONE_THREAD,
  );
  expect(failure).toMatchObject({ message: 'cloneFlags are namespaces only' });
});

test('a spawn that the system refuses throws, and the connection is still ours for another try', async () => {
  const seen = await inFreshProcess(async (kit) => {
    const { addon, connection, shell, readAll, failureOf, openReaper, flagsOf } = kit;
    const [helper, kept] = [await connection(), await connection()];
    const prepared = shell('read line; echo "served $line"');
    const { soft } = kit.limits('Max processes');
    const raise = `read line; prlimit --pid ${process.pid} --nproc=${soft}: && echo raised`;
    addon.spawn(shell(raise, { identity: kit.nobody() }), { fd: helper.socket.fd, facts: '' });
    kit.setLimit('nproc', 1);
    kit.becomeNobody();
    openReaper();

    const failure = failureOf(() => addon.spawn(prepared, { fd: kept.socket.fd, facts: '' }));
    const flags = flagsOf(kept.socket.fd);

    helper.client.write('\n');
    const raised = await readAll(helper.client);
    addon.spawn(prepared, { fd: kept.socket.fd, facts: '' });
    kept.client.write('at last\n');
    return { failure, flags, raised, reply: await readAll(kept.client) };
  });
  expect(seen.failure).toMatchObject({ code: 'EAGAIN', errno: 11, syscall: 'clone' });
  expect(seen.flags).toEqual({ isCloseOnExec: true, isNonBlocking: false });
  expect(seen).toMatchObject({ raised: 'raised\n', reply: 'served at last\n' });
});
