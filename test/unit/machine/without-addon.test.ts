import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { withoutAddon } from '../../../src/machine/without-addon';
import { addon } from '../../../src/native/addon';

const NOBODY = { uid: 65_534, gid: 65_534, groups: [] };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync('/tmp/without-addon-');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(mode: number): string {
  const path = join(folder, 'file');
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

test.each(['root', 0, 'no-such-user', 4_000_000_000])('knows the user %s as the addon does', (nameOrId) => {
  expect(withoutAddon.findUser(nameOrId)).toEqual(addon.findUser(nameOrId));
});

test.each(['root', 0, 'no-such-group', 4_000_000_000])('knows the group %s as the addon does', (nameOrId) => {
  expect(withoutAddon.findGroup(nameOrId)).toEqual(addon.findGroup(nameOrId));
});

test('knows the groups of a user as the addon does', () => {
  const sorted = (groups: readonly number[]): number[] => [...groups].sort((a, b) => a - b);
  expect(sorted(withoutAddon.groupsOf('root', 0))).toEqual(sorted(addon.groupsOf('root', 0)));
});

test('knows the interfaces as the addon does', () => {
  expect([...withoutAddon.interfaces()].sort()).toEqual([...addon.interfaces()].sort());
  expect(withoutAddon.hasInterface('lo')).toBe(addon.hasInterface('lo'));
  expect(withoutAddon.hasInterface('eth4711')).toBe(false);
});

test('what nobody at all may do, another user may not', () => {
  expect(withoutAddon.whyNoAccess(file(0o644), 'execute', NOBODY)).toBe(constants.errno.EACCES);
  expect(withoutAddon.whyNoAccess(file(0o311), 'read', NOBODY)).toBe(constants.errno.EACCES);
  expect(withoutAddon.whyNoAccess(file(0o755), 'execute', NOBODY)).toBe(0);
});

test('a file that is not there is not there for anybody', () => {
  expect(withoutAddon.whyNoAccess(join(folder, 'none'), 'read', NOBODY)).toBe(constants.errno.ENOENT);
  expect(withoutAddon.whyNoAccess(join(folder, 'none'), 'read', null)).toBe(constants.errno.ENOENT);
});

test('what stdiod itself may do is asked of the kernel', () => {
  expect(withoutAddon.whyNoAccess(file(0o644), 'execute', null)).toBe(constants.errno.EACCES);
  expect(withoutAddon.whyNoAccess(file(0o755), 'execute', null)).toBe(0);
});
