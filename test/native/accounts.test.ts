/**
 * Names, ids, and who may execute what: native/accounts.cc. The witnesses are id(1) and the kernel's answer to exec.
 */
import { execFileSync } from 'node:child_process';
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith, tool } from './needs';

test('finds the same user by name and by number', async () => {
  const found = await inFreshProcess(({ addon }) => [addon.findUser('root'), addon.findUser(0)]);
  const root = { name: 'root', uid: 0, gid: 0, home: expect.any(String), shell: expect.any(String) };
  expect(found).toEqual([root, root]);
});

test('finds the same group by name and by number', async () => {
  const found = await inFreshProcess(({ addon }) => [addon.findGroup('root'), addon.findGroup(0)]);
  expect(found).toEqual([
    { name: 'root', gid: 0 },
    { name: 'root', gid: 0 },
  ]);
});

test.each(['no-such-name', '', 3_999_999_999])('finds nobody called %p', async (missing) => {
  const found = await inFreshProcess(
    ({ addon }, missing) => [addon.findUser(missing) ?? 'none', addon.findGroup(missing) ?? 'none'],
    missing,
  );
  expect(found).toEqual(['none', 'none']);
});

test('lists the groups of a user as id(1) does, and for a stranger the given one alone', async () => {
  const user = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  const known = execFileSync('id', ['-G', user], { encoding: 'utf8' }).trim().split(' ').map(Number);
  const { groups, stranger } = await inFreshProcess(({ addon }, user) => {
    const gid = addon.findUser(user)?.gid ?? -1;
    return { groups: addon.groupsOf(user, gid), stranger: addon.groupsOf('no-such-name', 4711) };
  }, user);
  expect(groups.sort()).toEqual(known.sort());
  expect(stranger).toEqual([4711]);
});

test('tells why a path cannot be read, and 0 when it can', async () => {
  const why = await inFreshProcess(({ addon, becomeNobody, fs, temporaryFolder }) => {
    const secret = `${temporaryFolder()}/secret`;
    fs.writeFileSync(secret, '', { mode: 0 });
    becomeNobody();
    return ['/etc/passwd', '/no/such/file', secret].map((path) => addon.whyNoAccess(path, 'read', null));
  });
  const { EACCES, ENOENT } = { EACCES: 13, ENOENT: 2 };
  expect(why).toEqual([0, ENOENT, EACCES]);
});

testWith(ROOT)('a file that may be read by its reader need not be executable, and the other way round', async () => {
  const why = await inFreshProcess(({ addon, fs, temporaryFolder }) => {
    const folder = temporaryFolder();
    fs.chmodSync(folder, 0o755);
    const [readable, executable] = [`${folder}/readable`, `${folder}/executable`];
    fs.writeFileSync(readable, '');
    fs.writeFileSync(executable, '');
    fs.chmodSync(readable, 0o644);
    fs.chmodSync(executable, 0o711);
    const nobody = { uid: 65534, gid: 65534, groups: [] };
    return [readable, executable].map((path) => [
      addon.whyNoAccess(path, 'read', nobody),
      addon.whyNoAccess(path, 'execute', nobody),
    ]);
  });
  const EACCES = 13;
  expect(why).toEqual([
    [0, EACCES],
    [EACCES, 0],
  ]);
});

test('tells why a path cannot be executed, and 0 when it can', async () => {
  const why = await inFreshProcess(({ addon }) =>
    ['/bin/sh', '/etc/passwd', '/no/such/file', '/etc/passwd/below'].map((path) =>
      addon.whyNoAccess(path, 'execute', null),
    ),
  );
  const { EACCES, ENOENT, ENOTDIR } = { EACCES: 13, ENOENT: 2, ENOTDIR: 20 };
  expect(why).toEqual([0, EACCES, ENOENT, ENOTDIR]);
});

testWith(ROOT)('asks as the identity that will run the program, its groups included, and stays who it is', async () => {
  const seen = await inFreshProcess(({ addon, fs, temporaryFolder }) => {
    const folder = temporaryFolder();
    const program = `${folder}/program`;
    fs.writeFileSync(program, '#!/bin/sh\n', { mode: 0o750 });
    fs.chownSync(program, 0, 4711);
    const [nobody, member] = [
      { uid: 65534, gid: 65534, groups: [65534] },
      { uid: 65534, gid: 65534, groups: [4711] },
    ];
    const closed = [addon.whyNoAccess(program, 'execute', nobody), addon.whyNoAccess(program, 'execute', member)];
    fs.chmodSync(folder, 0o755);
    const open = [addon.whyNoAccess(program, 'execute', nobody), addon.whyNoAccess(program, 'execute', member)];
    return { closed, open, uid: process.getuid?.(), gid: process.getgid?.(), groups: process.getgroups?.() };
  });
  const before = { uid: process.getuid?.(), gid: process.getgid?.(), groups: process.getgroups?.() };
  expect(seen).toEqual({ closed: [13, 13], open: [13, 0], ...before });
});

const SIGNALS_US = `os.setresgid(61234, 61234, 61234)
os.setresuid(61234, 61234, 61234)
reached = 0
for _ in range(20000):
    try:
        os.kill(os.getppid(), 0)
        reached += 1
    except OSError:
        pass
print(reached)`;

testWith(ROOT, tool('python3'))('nobody may signal us while we ask in their name', async () => {
  const { asked, reached } = await inFreshProcess(async ({ addon, runPython }, script) => {
    const them = { uid: 61234, gid: 61234, groups: [61234] };
    let [asked, reached] = [0, ''];
    void runPython(script).then((output) => (reached = output.trim()));
    while (reached === '') {
      for (let times = 0; times < 100; times += 1) asked += 1 + addon.whyNoAccess('/bin/sh', 'execute', them);
      await new Promise(setImmediate);
    }
    return { asked, reached };
  }, SIGNALS_US);
  expect(asked % 100).toBe(0);
  expect(reached).toBe('0');
});

testWith(ROOT, tool('strace'))('who has asked as somebody else need not come back, which may fail', async () => {
  const answers = await inFreshProcess(async ({ addon, inject }) => {
    await inject('setresuid,setresgid,setgroups:error=ENOMEM:when=2+');
    const nobody = { uid: 65534, gid: 65534, groups: [] };
    return ['/bin/sh', '/bin/sh', '/etc/shadow'].map((path) => addon.whyNoAccess(path, 'execute', nobody));
  });
  const EACCES = 13;
  expect(answers).toEqual([0, 0, EACCES]);
});

testWith(ROOT, tool('strace'))('where there is no thread to ask about somebody else, that is the answer', async () => {
  const why = await inFreshProcess(async ({ addon, inject }) => {
    await inject('clone,clone3,fork,vfork:error=EAGAIN');
    return addon.whyNoAccess('/bin/sh', 'execute', { uid: 65534, gid: 65534, groups: [] });
  });
  const EAGAIN = 11;
  expect(why).toBe(EAGAIN);
});
