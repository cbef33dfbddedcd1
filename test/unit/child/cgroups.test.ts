/**
 * Groups of services and leaves of children in a pretended tree. That the kernel does as it is told is shown where it has
 * controllers (test/vm).
 */
import { Cgroups, planGroup } from '../../../src/child/cgroups';
import type { Fd, Pid } from '../../../src/native/addon';
import { findOwnCgroup } from '../../../src/native/own-cgroup';
import type { Cgroup } from '../../../src/service/cgroup';
import { closed, file, groupsIn, modeOf, removeTree, root } from './pretended-tree';

jest.mock('node:fs', () => jest.requireActual<typeof import('./pretended-tree')>('./pretended-tree').pretendedFs());
jest.mock('../../../src/native/own-cgroup', () => ({ MAIN_GROUP: 'stdiod-main', findOwnCgroup: jest.fn() }));
jest.mock('../../../src/native/addon', () => ({
  addon: jest.requireActual<typeof import('./pretended-tree')>('./pretended-tree').pretendedAddon,
}));

const READY = 8;
let pids = 0;
let cgroups: Cgroups;

beforeEach(() => {
  jest.useFakeTimers();
  jest.mocked(findOwnCgroup).mockReturnValue({ folder: root, hasMoved: false, root });
  cgroups = new Cgroups();
});

afterEach(() => {
  for (const name of groupsIn('.')) for (const leaf of groupsIn(name)) file(`${name}/${leaf}/cgroup.procs`, '');
  cgroups.close();
  jest.useRealTimers();
});

afterAll(removeTree);

function wishOf(name: string, fields: Partial<Cgroup> = {}): Cgroup {
  const wish = { name, controllers: ['memory', 'pids'], whole: [], each: [], ...fields } as const;
  planGroup(wish);
  return wish;
}

const MAX = (value: string) => [{ file: 'memory.max', value }];

/** A child in a leaf of its own. */
function start(wish: Cgroup): { pid: Pid; leaf: string } {
  const leaf = cgroups.take(wish);
  const pid = (pids += 1) as Pid;
  cgroups.add(pid, leaf);
  return { pid, leaf: leaf.folder.slice(root.length + 1) };
}

test('the first group has stdiod leave the group that was delegated, and let those below use the controllers', () => {
  start(wishOf('web', { whole: MAX('1000') }));
  expect(file('stdiod-main/cgroup.procs')).toBe(String(process.pid));
  expect(file('cgroup.subtree_control')).toBe('+memory +pids');
  expect(file('service-web+memory/cgroup.subtree_control')).toBe('+memory +pids');
  expect(file('service-web+memory/memory.max')).toBe('1000');
  file('stdiod-main/cgroup.procs', '');
});

test('each child has a leaf of its own, with the limits of a connection, and dies as a whole for want of memory', () => {
  const wish = wishOf('web', { each: [{ file: 'pids.max', value: '5' }] });
  const [first, second] = [start(wish), start(wish)];
  expect(first.leaf).not.toBe(second.leaf);
  expect([file(`${first.leaf}/pids.max`), file(`${first.leaf}/memory.oom.group`)]).toEqual(['5', '1']);
  expect(closed.slice(-2)).toHaveLength(2);
});

test('nobody else may list a group, and hold its lock with that', () => {
  const { leaf } = start(wishOf('web'));
  expect(['.', 'stdiod-main', 'service-web', leaf].map(modeOf)).toEqual(['711', '711', '711', '711']);
});

test('leaves are made ahead, one in each turn, and the next child takes one of those', () => {
  const wish = wishOf('web');
  cgroups.adopt([wish]);
  expect(groupsIn('service-web')).toEqual([]);
  jest.advanceTimersToNextTimer();
  expect(groupsIn('service-web')).toHaveLength(1);
  jest.runAllTimers();
  const ready = groupsIn('service-web');
  expect(ready).toHaveLength(READY);
  const { leaf } = start(wish);
  expect(ready).toContain(leaf.split('/')[1]);
});

test('at its end a child is told what its group had, what it left behind is killed, and its leaf goes and never comes again', () => {
  const wish = wishOf('web');
  const { pid, leaf } = start(wish);
  file(`${leaf}/cgroup.procs`, '77');
  file(`${leaf}/memory.events`, 'oom 3\noom_kill 2\n');
  expect(cgroups.settle(pid)).toEqual({ cpuSeconds: 1.5, memoryBytes: 8192, hadOomKill: true });
  expect(file(`${leaf}/cgroup.kill`)).toBe('1');
  jest.advanceTimersByTime(1000);
  expect(groupsIn('service-web')).toContain(leaf.split('/')[1]);
  file(`${leaf}/cgroup.procs`, '');
  jest.advanceTimersByTime(2000);
  expect(groupsIn('service-web')).not.toContain(leaf.split('/')[1]);
  expect(cgroups.settle(pid)).toBeUndefined();
});

test('a kernel that keeps no peak of memory says nothing of it', () => {
  const { pid, leaf } = start(wishOf('web'));
  file(`${leaf}/memory.peak`, '');
  expect(cgroups.settle(pid)).toEqual({ cpuSeconds: 1.5, memoryBytes: null, hadOomKill: false });
});

test('a reload changes the group and the leaves to come, and takes back what is wanted no more', () => {
  const before = wishOf('web', { whole: [...MAX('1000'), { file: 'pids.max', value: '9' }], each: MAX('100') });
  const { leaf } = start(before);
  jest.runAllTimers();
  const after = wishOf('web', { whole: MAX('2000'), each: MAX('200') });
  cgroups.adopt([after]);
  expect([file('service-web+memory/memory.max'), file('service-web+memory/pids.max')]).toEqual(['2000', 'max']);
  expect(file(`${leaf}/memory.max`)).toBe('100');
  expect(file(`${start(after).leaf}/memory.max`)).toBe('200');
});

test('a connection that still has the plan of before gets no more than the file says by now', () => {
  const [before, after] = [wishOf('web', { whole: MAX('1000') }), wishOf('web', { whole: MAX('10') })];
  cgroups.adopt([after]);
  start(before);
  expect(file('service-web+memory/memory.max')).toBe('10');
});

test('the group of a service that was removed goes with its last child, and is made anew when that comes back', () => {
  const wish = wishOf('web', { whole: MAX('1000') });
  const { pid } = start(wish);
  jest.runAllTimers();
  cgroups.adopt([]);
  expect(groupsIn('service-web+memory')).toHaveLength(1);
  cgroups.settle(pid);
  jest.runAllTimers();
  cgroups.adopt([]);
  expect(groupsIn('.')).not.toContain('service-web+memory');
  cgroups.adopt([wishOf('web', { whole: MAX('7') })]);
  expect(file('service-web+memory/memory.max')).toBe('7');
});

test('what earlier runs have left keeps its processes and loses its limits', () => {
  start(wishOf('web', { whole: [{ file: 'pids.max', value: '9' }] }));
  const next = new Cgroups();
  next.take(wishOf('web'));
  expect(file('service-web/pids.max')).toBe('max');
  next.close();
});

test('a reload that brings the first limit on memory leaves those alone who may share ours', () => {
  const before = wishOf('web');
  start(before);
  cgroups.adopt([wishOf('web', { each: MAX('100') })]);
  expect(groupsIn('.')).toEqual(expect.arrayContaining(['service-web', 'service-web+memory']));
  expect(file('service-web/memory.max')).toBe('max');
  expect(start(before).leaf).toMatch(/^service-web\//);
});

test('a group that cannot be made costs its child, and is tried again for the next', () => {
  const wish = wishOf('web', { whole: [{ file: 'no.such', value: '1' }] });
  expect(() => cgroups.take(wish)).toThrow('cgroup: ENOENT');
  file('service-web/no.such', '');
  expect(cgroups.take(wish).folder).toContain('service-web');
  expect(file('service-web/no.such')).toBe('1');
});

test('a leaf in which no child was born is taken by the next one', () => {
  const wish = wishOf('web');
  const leaf = cgroups.take(wish);
  const error = Object.assign(new Error('x'), { code: 'ENOMEM', syscall: 'clone3' });
  expect(cgroups.putBack(leaf, error)).toBe(error);
  expect(cgroups.take(wish).folder).toBe(leaf.folder);
});

test('a clone that fails because the group has all its processes is told so, and not as a want of the machine', () => {
  const wish = wishOf('web', { whole: [{ file: 'pids.max', value: '5' }] });
  const error = Object.assign(new Error('x'), { code: 'EAGAIN', syscall: 'clone3' });
  const first = cgroups.take(wish);
  expect(cgroups.putBack(first, error)).toBe(error);
  file('service-web/pids.current', '5');
  expect(cgroups.putBack(cgroups.take(wish), error)).toMatchObject({ syscall: 'processes_max', code: 'EAGAIN' });
});

test('at the end nothing is left but the group of stdiod itself', () => {
  const { pid } = start(wishOf('web'));
  jest.runAllTimers();
  cgroups.settle(pid);
  cgroups.close();
  expect(groupsIn('.')).toEqual(['stdiod-main']);
  expect(file('cgroup.subtree_control')).toBe('-pids');
});

test('who has no group has none killed', () => {
  expect(() => {
    cgroups.kill(4711 as Pid);
  }).not.toThrow();
  expect(closed).not.toContain(0 as Fd);
});
