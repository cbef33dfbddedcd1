/**
 * A child that is born in a control group: native/clone-into.cc against the kernel. No controller is needed for it.
 */
import { inFreshProcess } from './fresh-process';
import { CGROUP, testWith } from './needs';

const WAYS = [
  { way: 'clone', isFork: false, isApart: false },
  { way: 'clone, with memory of its own', isFork: false, isApart: true },
  { way: 'fork', isFork: true, isApart: false },
];

describe.each(WAYS)('a child made by $way', ({ isFork, isApart }) => {
  testWith(CGROUP)(
    'is in its group from the first instruction on, with its connection, words and environment',
    async () => {
      const { output, group } = await inFreshProcess(
        async ({ addon, connection, controlGroup, exitOf, openReaper, readAll, shell }, ways) => {
          addon.setPlainFork(ways.isFork);
          openReaper();
          const group = controlGroup();
          const { client, socket } = await connection();
          const script = 'grep ^0:: /proc/self/cgroup; echo "$FACT"; ls /proc/self/fd | wc -l';
          const plan = shell(script, { hasGroup: true, isApart: ways.isApart });
          const pid = addon.spawn(plan, { fd: socket.fd, facts: 'FACT=of a client\0', group: addon.openFolder(group) });
          const output = await readAll(client);
          await exitOf(pid);
          return { output, group };
        },
        { isFork, isApart },
      );
      // `ls` has the folder open as well.
      expect(output.split('\n')).toEqual([expect.stringMatching(/^0::\/.*/), 'of a client', '4', '']);
      expect(output.split('\n')[0]?.split('/').at(-1)).toBe(group.split('/').at(-1));
    },
  );

  testWith(CGROUP)(
    'ends with all that it has started when its group is killed, in whatever session they are',
    async () => {
      const { signal, left } = await inFreshProcess(
        async ({ addon, connection, controlGroup, exitOf, fs, openReaper, shell, until }, ways) => {
          addon.setPlainFork(ways.isFork);
          openReaper();
          const group = controlGroup();
          const { client, socket } = await connection();
          const plan = shell('trap "" TERM; (setsid sleep 600 &); (trap "" TERM; sleep 600) & echo up; sleep 600', {
            hasGroup: true,
            isApart: ways.isApart,
          });
          const pid = addon.spawn(plan, { fd: socket.fd, facts: '', group: addon.openFolder(group) });
          await new Promise((resolve) => client.once('data', resolve));
          fs.writeFileSync(`${group}/cgroup.kill`, '1');
          const { signal } = await exitOf(pid);
          const pidsIn = (): string => fs.readFileSync(`${group}/cgroup.procs`, 'latin1');
          await until(() => fs.readFileSync(`${group}/cgroup.events`, 'latin1').includes('populated 0'));
          client.destroy();
          return { signal, left: pidsIn() };
        },
        { isFork, isApart },
      );
      expect([signal, left]).toEqual([9, '']);
    },
  );
});

testWith(CGROUP)('a group that is not there is a failed clone3, and the connection is still ours', async () => {
  const { failure, isOpen } = await inFreshProcess(
    async ({ addon, connection, controlGroup, failureOf, flagsOf, fs, openReaper, shell }) => {
      openReaper();
      const group = controlGroup();
      const fd = addon.openFolder(group);
      fs.rmdirSync(group);
      const { socket } = await connection();
      const plan = shell('echo never', { hasGroup: true });
      const failure = failureOf(() => addon.spawn(plan, { fd: socket.fd, facts: '', group: fd }));
      fs.mkdirSync(group);
      return { failure, isOpen: flagsOf(socket.fd).isCloseOnExec };
    },
  );
  expect(failure).toMatchObject({ code: 'ENOENT', syscall: 'clone3' });
  expect(isOpen).toBe(true);
});

testWith(CGROUP)('a slot that was lent to a child in a group is lent again to one without', async () => {
  const slots = await inFreshProcess(
    async ({ addon, controlGroup, exitOf, nullConnection, openReaper, plan, slotCount }) => {
      openReaper();
      const group = addon.openFolder(controlGroup());
      const [inGroup, ordinary] = [plan(['/bin/true'], { hasGroup: true }), plan(['/bin/true'])];
      for (let count = 0; count < 20; count += 1) {
        await exitOf(addon.spawn(inGroup, { fd: nullConnection(), facts: '', group }));
        await exitOf(addon.spawn(ordinary, { fd: nullConnection(), facts: '' }));
      }
      return slotCount();
    },
  );
  expect(slots).toBe(1);
});
