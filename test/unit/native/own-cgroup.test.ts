import { findOwnCgroup } from '../../../src/native/own-cgroup';

const V2 = '31 24 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
const V1 = '36 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:15 - cgroup cgroup rw,memory\n';
const HYBRID = `${V1}40 31 0:34 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup rw\n`;

test('the group of a unit is a folder below the mount', () => {
  expect(findOwnCgroup(V2, '0::/system.slice/stdiod.service\n')).toEqual({
    folder: '/sys/fs/cgroup/system.slice/stdiod.service',
    hasMoved: false,
    root: '/sys/fs/cgroup',
  });
});

test('who is in stdiod-main means the group above it', () => {
  expect(findOwnCgroup(V2, '0::/system.slice/stdiod.service/stdiod-main\n')).toEqual({
    folder: '/sys/fs/cgroup/system.slice/stdiod.service',
    hasMoved: true,
    root: '/sys/fs/cgroup',
  });
});

test('a container that sees its part of the tree stands at the root of it', () => {
  expect(findOwnCgroup(V2, '0::/\n')).toMatchObject({ folder: '/sys/fs/cgroup', hasMoved: false });
  const part = V2.replace('0:27 / ', '0:27 /docker/c0ffee ');
  expect(findOwnCgroup(part, '0::/docker/c0ffee/inner\n')).toMatchObject({ folder: '/sys/fs/cgroup/inner' });
});

test('beside version 1 it is where version 2 is mounted', () => {
  expect(findOwnCgroup(HYBRID, '4:memory:/a\n0::/b\n')).toMatchObject({ folder: '/sys/fs/cgroup/unified/b' });
});

test('a mount point with a space in its name is found', () => {
  expect(findOwnCgroup(V2.replace('/sys/fs/cgroup', '/c\\040g'), '0::/a\n')).toMatchObject({ folder: '/c g/a' });
});

test.each([
  ['only version 1', V1, '4:memory:/a\n'],
  ['no mount', '', '0::/a\n'],
  ['a mount of another part', V2.replace('0:27 / ', '0:27 /docker/c0ffee '), '0::/\n'],
  ['a mount of another part that begins alike', V2.replace('0:27 / ', '0:27 /a '), '0::/../b\n'],
])('there is none with %s', (_, mounts, membership) => {
  expect(findOwnCgroup(mounts, membership)).toBeNull();
});
