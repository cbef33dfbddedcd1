/**
 * Every step of child set-up is made to fail once: the reap record names the step and the errno, the client sees a clean
 * end. Most steps never fail by themselves; strace(1) makes them.
 */
import { inFreshProcess } from './fresh-process';
import type { Sandbox } from '../../src/service/sandbox';
import type { Labels, Resources, Rights } from '../../src/service/service';
import { LANDLOCK, ROOT, testWith, tool } from './needs';

interface Fault {
  readonly path?: string;
  readonly directory?: string;
  readonly root?: string;
  readonly stderrFile?: string;
  readonly resources?: Partial<Resources>;
  readonly rights?: Partial<Rights>;
  readonly confined?: Partial<Sandbox>;
  readonly labels?: Partial<Labels>;
  /** CLONE_NEW… of a sandbox. */
  readonly namespaces?: number;
  readonly identity?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** An expression for `strace -e inject=`. */
  readonly injection?: string;
  /** The same for this path alone. */
  readonly injectionPath?: string | undefined;
}

const NOBODY = { uid: 65534, gid: 65534, groups: [65534] };
const [EPERM, ENOENT, ENXIO, ENOEXEC, EACCES, ENOTDIR, EISDIR, EMFILE] = [1, 2, 6, 8, 13, 20, 21, 24];

/** What became of a child that was to fail, and what its client saw after it had sent some data. */
function fail(fault: Fault): Promise<unknown> {
  return inFreshProcess(async (kit, fault) => {
    const { addon, connection, plan, readAll, exitOf } = kit;
    const { injection, injectionPath, path = '/bin/cat', namespaces, ...rest } = fault;
    const SANDBOX = {
      hasOwnTmp: false,
      hasNoDevices: false,
      hasOwnProcesses: false,
      hidden: [],
      files: rest.confined?.files ?? null,
    };
    const sandbox = namespaces === undefined ? {} : { sandbox: addon.openSandbox({ ...SANDBOX, namespaces }) };
    const { client, socket } = await connection();
    if (injection !== undefined) await kit.inject(injection, injectionPath);
    kit.openReaper();
    client.write('data that nobody will read');
    await kit.until(() => addon.hasWaiting(socket.fd));
    const end = readAll(client);
    const pid = addon.spawn(plan([path], { path, ...sandbox, ...rest }), { fd: socket.fd, facts: '' });
    const { status, signal, step, error } = await exitOf(pid);
    return { status, signal, step, error, received: await end };
  }, fault);
}

const END = { status: 127, signal: 0, received: '' };

test.each([
  ['a program that does not exist', '/no/such/program', ENOENT],
  ['a program below a file', '/etc/passwd/program', ENOTDIR],
  ['a folder in place of a program', '/', EACCES],
  ['a file that is not executable', '/etc/passwd', EACCES],
])('execve fails: %s', async (_, path, error) => {
  expect(await fail({ path })).toEqual({ ...END, step: 'execve', error });
});

test('execve fails: a file that is no program', async () => {
  const exit = await inFreshProcess(async ({ addon, fs, plan, temporaryFolder, nullConnection, ...kit }) => {
    const path = `${temporaryFolder()}/empty`;
    fs.writeFileSync(path, '', { mode: 0o755 });
    kit.openReaper();
    return kit.exitOf(addon.spawn(plan([path]), { fd: nullConnection(), facts: '' }));
  });
  expect(exit).toMatchObject({ step: 'execve', error: ENOEXEC });
});

test('the client of a Unix socket sees a clean end too', async () => {
  const received = await inFreshProcess(async ({ addon, plan, readAll, ...kit }) => {
    kit.openReaper();
    const { client, socket } = await kit.unixConnection();
    client.write('x'.repeat(100_000));
    await kit.until(() => addon.hasWaiting(socket.fd));
    const end = readAll(client);
    addon.spawn(plan(['/no/such/program']), { fd: socket.fd, facts: '' });
    return end;
  });
  expect(received).toBe('');
});

test('chdir fails: a folder that does not exist', async () => {
  expect(await fail({ directory: '/no/such/folder' })).toEqual({ ...END, step: 'chdir', error: ENOENT });
});

testWith(ROOT)('chdir fails: a folder that is closed to the user, though not to us', async () => {
  const exit = await inFreshProcess(async ({ addon, plan, temporaryFolder, nullConnection, ...kit }, identity) => {
    kit.openReaper();
    const options = { directory: temporaryFolder(), identity };
    return kit.exitOf(addon.spawn(plan(['/bin/true'], options), { fd: nullConnection(), facts: '' }));
  }, NOBODY);
  expect(exit).toMatchObject({ step: 'chdir', error: EACCES });
});

testWith(ROOT)('verify-ids fails: an id that means "as it is" to the kernel', async () => {
  const unchanged = 0xffff_ffff;
  const verify = { ...END, step: 'verify-ids', error: EPERM };
  expect(await fail({ identity: { ...NOBODY, uid: unchanged } })).toEqual(verify);
  expect(await fail({ identity: { ...NOBODY, gid: unchanged } })).toEqual(verify);
});

test('setgroups fails: nobody becomes somebody else without the right', async () => {
  const exit = await inFreshProcess(async ({ addon, plan, nullConnection, becomeNobody, ...kit }) => {
    becomeNobody();
    kit.openReaper();
    const identity = { uid: 0, gid: 0, groups: [0] };
    return kit.exitOf(addon.spawn(plan(['/bin/true'], { identity }), { fd: nullConnection(), facts: '' }));
  });
  expect(exit).toMatchObject({ step: 'setgroups', error: EPERM });
});

describe('stderr fails', () => {
  test.each([
    ['a folder that does not exist', '/no/such/folder/log', ENOENT],
    ['a folder', '/tmp', EISDIR],
    ['a file below a file', '/etc/passwd/log', ENOTDIR],
  ])('%s', async (_, stderrFile, error) => {
    expect(await fail({ stderrFile })).toEqual({ ...END, step: 'stderr', error });
  });

  test('a FIFO that nobody reads, and it does not wait for one', async () => {
    const exit = await inFreshProcess(async ({ addon, plan, makeFifo, nullConnection, ...kit }) => {
      const stderrFile = makeFifo();
      kit.openReaper();
      return kit.exitOf(addon.spawn(plan(['/bin/true'], { stderrFile }), { fd: nullConnection(), facts: '' }));
    });
    expect(exit).toMatchObject({ step: 'stderr', error: ENXIO });
  });

  testWith(ROOT)('a file that is closed to the user, though not to us, and nothing is made of it', async () => {
    const seen = await inFreshProcess(
      async ({ addon, fs, plan, temporaryFolder, nullConnection, ...kit }, identity) => {
        const folder = temporaryFolder();
        fs.chmodSync(folder, 0o755);
        kit.openReaper();
        const options = { stderrFile: `${folder}/log`, identity };
        const exit = await kit.exitOf(addon.spawn(plan(['/bin/true'], options), { fd: nullConnection(), facts: '' }));
        return { exit, isThere: fs.existsSync(`${folder}/log`) };
      },
      NOBODY,
    );
    expect(seen).toMatchObject({ exit: { step: 'stderr', error: EACCES }, isThere: false });
  });
});

const EVERYTHING: Partial<Resources> = {
  nice: 1,
  cpus: [0],
  scheduling: { policy: 3, priority: 0 },
  ioPriority: (2 << 13) | 7,
};

const CONFINED: Partial<Sandbox> = {
  deniedCalls: ['clock'],
  files: LANDLOCK.isMet ? { readOnly: ['/'], readWrite: [] } : null,
};
const CLONE_NEWUTS = 0x400_0000;

const NET_RAW = { numbers: [13], isBound: true };
/** Its first prctl is the one that clears the ambient set. */
const NO_RIGHTS: Partial<Rights> = { capabilities: null, noNewPrivileges: true };

const REFUSALS: [step: string, call: string, error: number, more?: Partial<Fault>][] = [
  ['setns', 'setns:error=EMFILE', EMFILE],
  ['close_range', 'close_range:error=EMFILE', EMFILE],
  ['dup3', 'dup3:error=EMFILE', EMFILE],
  ['close-rest', 'close_range:error=EMFILE:when=2', EMFILE],
  ['rt_sigaction', 'rt_sigaction:error=EMFILE:when=2+', EMFILE],
  ['setsid', 'setsid:error=EMFILE', EMFILE],
  ['prlimit', 'prlimit64:error=EMFILE', EMFILE],
  ['umask', 'umask:error=EMFILE', EMFILE],
  ['setpriority', 'setpriority:error=EMFILE', EMFILE],
  ['sched_setaffinity', 'sched_setaffinity:error=EMFILE', EMFILE],
  ['sched_setscheduler', 'sched_setscheduler:error=EMFILE', EMFILE],
  ['ioprio_set', 'ioprio_set:error=EMFILE', EMFILE],
  ['prctl', 'prctl:error=EMFILE', EMFILE],
  [
    'apparmor',
    'openat:error=EMFILE',
    EMFILE,
    { labels: { apparmor: 'x' }, injectionPath: '/proc/self/attr/apparmor/exec' },
  ],
  ['selinux', 'openat:error=EMFILE', EMFILE, { labels: { selinux: 'a:b:c' }, injectionPath: '/proc/self/attr/exec' }],
  ['chroot', 'chroot:error=EMFILE', EMFILE, { root: '/' }],
  ['capbset_drop', 'prctl:error=EMFILE:when=2', EMFILE],
  ['setgroups', 'setgroups:error=EMFILE', EMFILE],
  ['setresgid', 'setresgid:error=EMFILE', EMFILE],
  ['setresuid', 'setresuid:error=EMFILE', EMFILE],
  ['verify-ids', 'setresuid:retval=0', EPERM],
  ['securebits', 'prctl:error=EMFILE:when=3', EMFILE, { rights: { securebits: 3 } }],
  ['capset', 'capset:error=EMFILE', EMFILE],
  ['no_new_privs', 'prctl:error=EMFILE:when=2', EMFILE, { rights: NO_RIGHTS }],
  ['stderr', 'openat:error=EMFILE', EMFILE, { injectionPath: '/dev/zero' }],
  ['chdir', 'chdir:error=EMFILE', EMFILE],
  ['landlock', 'landlock_restrict_self:error=EMFILE', EMFILE],
  ['seccomp', 'seccomp:error=EMFILE', EMFILE],
  ['rt_sigprocmask', 'rt_sigprocmask:error=EMFILE', EMFILE],
  ['execve', 'execve:error=EMFILE', EMFILE],
];

for (const [step, injection, error, more] of REFUSALS) {
  testWith(
    ROOT,
    tool('strace'),
    ...(step === 'landlock' ? [LANDLOCK] : []),
  )(`${step} fails: ${injection}`, async () => {
    const rights = { capabilities: NET_RAW, noNewPrivileges: true };
    const wishes = {
      namespaces: CLONE_NEWUTS,
      confined: CONFINED,
      identity: NOBODY,
      resources: EVERYTHING,
      rights,
      stderrFile: '/dev/zero',
      ...more,
    };
    expect(await fail({ injection, ...wishes })).toEqual({ ...END, step, error });
  });
}

/** The kernel says yes and does nothing: the child asks it afterwards. */
const IDLE: [step: string, call: string, rights: Partial<Rights>][] = [
  ['capset', 'capset:retval=0', { capabilities: { numbers: [], isBound: false } }],
  ['securebits', 'prctl:retval=0:when=3', { securebits: 3 }],
  ['capset', 'prctl:retval=0:when=3+', { capabilities: { numbers: [13], isBound: false } }],
  ['no_new_privs', 'prctl:retval=0:when=2', NO_RIGHTS],
];

for (const [step, injection, rights] of IDLE) {
  testWith(ROOT, tool('strace'))(`${step} fails where nothing came of it: ${injection}`, async () => {
    expect(await fail({ injection, identity: NOBODY, rights })).toEqual({ ...END, step, error: EPERM });
  });
}

test('every step was made to fail', async () => {
  const names = await inFreshProcess(({ addon }) => addon.stepNames);
  expect(REFUSALS.map(([step]) => step)).toEqual(names.slice(1));
});

test.each<[object, string]>([
  [{ op: 'reboot' }, 'reboot is no step that a plan may list'],
  [{ op: 'none' }, 'none is no step that a plan may list'],
  [{}, 'undefined is no step that a plan may list'],
  [{ op: 'dup3' }, 'dup3 is no step that a plan may list'],
  [{ op: 'rt_sigprocmask' }, 'rt_sigprocmask is no step that a plan may list'],
  [{ op: 'execve' }, 'execve is no step that a plan may list'],
  [{ op: 'umask' }, 'umask needs another number of arguments'],
  [{ op: 'umask', args: [1, 2] }, 'umask needs another number of arguments'],
  [{ op: 'setsid', args: [1] }, 'setsid needs another number of arguments'],
  [{ op: 'prlimit', args: Array(1000).fill(0) }, 'prlimit needs another number of arguments'],
  [{ op: 'umask', args: ['18'] }, 'umask needs whole numbers'],
  [{ op: 'umask', args: [0.5] }, 'umask needs whole numbers'],
  [{ op: 'umask', args: [2 ** 60] }, 'umask needs whole numbers'],
  [{ op: 'umask', args: 18 }, 'umask needs whole numbers'],
  [{ op: 'setgroups', list: [1, null] }, 'setgroups needs whole numbers'],
  [{ op: 'prctl', args: [4, 1] }, 'prctl would change the memory that we share'],
])('a plan with %j is refused before there is a child', async (step, message) => {
  const failure = await inFreshProcess(
    ({ plan, failureOf }, step) => failureOf(() => plan(['/bin/true'], { steps: [step as { op: 'chdir' }] })),
    step,
  );
  expect(failure).toMatchObject({ message });
});

testWith(ROOT, tool('strace'))(
  'a child that its new user stops before exec holds nothing but its connection',
  async () => {
    const seen = await inFreshProcess(async (kit, identity) => {
      const { addon, fs, connection, plan, readAll, until } = kit;
      const [other, { client, socket }] = [await connection(), await connection()];
      const inode = fs.readlinkSync(`/proc/self/fd/${socket.fd}`);
      await kit.inject('setresuid:signal=SIGSTOP');
      kit.openReaper();
      const pid = addon.spawn(plan(['/bin/cat'], { identity }), { fd: socket.fd, facts: '' });
      await until(() => fs.readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nUid:\t${identity.uid}\t`));
      const held = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
      const program = fs.readlinkSync(`/proc/${pid}/exe`);
      process.kill(pid, 'SIGCONT');
      client.end('still here');
      const isOurs = kit.openFds().includes(String(other.socket.fd));
      return {
        held,
        expected: Array(3).fill(inode),
        program,
        node: process.execPath,
        isOurs,
        reply: await readAll(client),
      };
    }, NOBODY);
    expect(seen.held).toEqual(seen.expected);
    expect(seen).toMatchObject({ program: seen.node, isOurs: true, reply: 'still here' });
  },
);

testWith(ROOT, tool('strace'))('a signal that would write a core before exec ends the child without one', async () => {
  const { status, signal } = await inFreshProcess(async (kit) => {
    await kit.inject('chdir:signal=SIGQUIT');
    kit.openReaper();
    return kit.exitOf(kit.addon.spawn(kit.plan(['/bin/true']), { fd: kit.nullConnection(), facts: '' }));
  });
  expect({ status, signal }).toEqual({ status: 128 + 3, signal: 0 });
});
