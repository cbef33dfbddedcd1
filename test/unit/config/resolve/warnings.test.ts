/**
 * What is odd and not wrong.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../../../src/config/machine/machine';
import { loadConfigurationText } from '../../../../src/config/load';
import { withKeys } from '../loading';
import { asAlice, pretendMachine } from '../pretend-machine';

function warningsOf(text: string, changes: Partial<Machine> = {}, file = 'services.yaml'): string[] {
  const result = loadConfigurationText(text, file, pretendMachine(changes));
  if (!result.ok || result.diagnostics.length > 0) throw new Error(result.diagnostics[0]?.message);
  return result.warnings.map(({ line, column, path, message, remedy }) => {
    return `${line}:${column} ${path}: ${message} (${remedy ?? ''})`;
  });
}

test('nothing odd is no warning', () => {
  expect(warningsOf(withKeys('user: alice\nmax_connections: 10\nrlimits: {processes: 10}'))).toEqual([]);
});

test('the sessions of a template are copies of one process, those of a pool are not', () => {
  const [warning = '', ...others] = warningsOf(withKeys('warm: template'));
  expect(warning).toMatch(/^3:\d+ services.a.warm: all sessions are copies of one process: .*set "pool"/);
  expect([others, warningsOf(withKeys('warm: pool'))]).toEqual([[], []]);
});

describe('max_connections', () => {
  test('beyond that of the whole server is never reached', () => {
    expect(warningsOf(`limits: {max_connections: 5}\n${withKeys('max_connections: 6')}`)).toEqual([
      '4:22 services.a.max_connections: 6 children are never reached: all services together have 5' +
        ' (set "limits: {max_connections: 6}")',
    ]);
  });

  test('that nobody wrote is no warning', () => {
    expect(warningsOf(`limits: {max_connections: 5}\n${withKeys('')}`)).toEqual([]);
  });

  test('beyond the processes of the program’s user drops clients', () => {
    expect(warningsOf(withKeys('rlimits: {processes: 10}\nmax_connections: 11'))).toEqual([
      '3:26 services.a.rlimits.processes: a user of 10 processes has no more children than these, and "max_connections" is 11' +
        ' (set "max_connections" to 10 or less: clients beyond it wait, and are not dropped)',
    ]);
    expect(warningsOf(withKeys('rlimits: {processes: 10}\nuser: root'))).toEqual([]);
    expect(warningsOf(withKeys('rlimits: {processes: 10}\nwait: true'))).toEqual([]);
  });

  test('beyond the processes of stdiod’s own user is told', () => {
    const few: Partial<Machine> = { ...asAlice, highestLimit: () => 100 };
    expect(warningsOf(withKeys('max_connections: 101'), few).join()).toContain("stdiod's user may have 100 processes");
    expect(warningsOf(withKeys('max_connections: 100'), few)).toEqual([]);
  });
});

test('a command that nearly fills what the kernel takes is told', () => {
  const exec = `exec: [cat, ${'x'.repeat(950)}]`;
  expect(warningsOf(withKeys(exec), { startBytes: 6_000 })).toEqual([]);
  expect(warningsOf(withKeys(`exec: [cat, ${'x'.repeat(90_000)}]`), { startBytes: 100_000 }).join()).toContain(
    'bytes of the 100000 that the kernel takes',
  );
});

describe('a program of root', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stdiod-warnings-'));
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'it'), '#!/bin/sh\n');
    chmodSync(join(folder, 'it'), 0o755);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function shared(name: string, facts: { mode?: number; uid?: number; gid?: number }): Partial<Machine> {
    const { entry } = pretendMachine();
    return {
      entry: (path) => {
        const found = entry(path);
        return typeof found !== 'string' && path === join(folder, name) ? { ...found, ...facts } : found;
      },
    };
  }

  function toldOf(changes: Partial<Machine>, user = 'root'): string[] {
    const told = warningsOf(withKeys(`exec: ./it\nuser: ${user}`), changes, join(folder, 'services.yaml'));
    return told.map((text) => text.replaceAll(`${folder}/`, '').replaceAll(folder, '.'));
  }

  test('that a group may write is told, or whose folder it may', () => {
    expect(toldOf(shared('it', { mode: 0o775, gid: 60 }))).toEqual([
      '3:11 services.a.exec: it runs as root, and the group 60 may write it' +
        ' (chmod g-w it, unless the group 60 is to be trusted as root is)',
    ]);
    expect(toldOf({ entry: (path) => inGroup(path) }).join()).toContain('the group 60 may put another in its place: .');
  });

  function inGroup(path: string): ReturnType<Machine['entry']> {
    const found = pretendMachine().entry(path);
    return typeof found !== 'string' && path === folder ? { ...found, mode: 0o775, gid: 60 } : found;
  }

  test('that belongs to somebody else is told', () => {
    expect(toldOf(shared('it', { uid: 1000 }))).toEqual([
      '3:11 services.a.exec: it runs as root, and user 1000 may write it' +
        ' (chown -h root it, unless user 1000 is to be trusted as root is)',
    ]);
  });

  test('that is root’s alone is not, nor one that runs as somebody else', () => {
    expect(toldOf({})).toEqual([]);
    expect(toldOf(shared('it', { mode: 0o775, gid: 60 }), 'alice')).toEqual([]);
    expect(toldOf(shared('it', { mode: 0o775, gid: 0 }))).toEqual([]);
  });
});

test('a set-user-ID program gets no rights by that, unless the file lets it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stdiod-'));
  try {
    const program = join(folder, 'it');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o4755);
    const keys = (more: string): string => `services: {a: {listen: 7007, exec: ${program}, ${more}}}`;
    expect(warningsOf(keys('user: nobody'))).toEqual([
      `1:36 services.a.exec: ${program} is set-user-ID or set-group-ID, and gets no rights by that here` +
        ' (set "no_new_privileges: false" if it needs them)',
    ]);
    for (const more of ['no_new_privileges: false', 'no_new_privileges: true', 'user: root']) {
      expect(warningsOf(keys(more)).filter((warning) => warning.includes('set-user-ID'))).toEqual([]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
