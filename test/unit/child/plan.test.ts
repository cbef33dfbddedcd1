/**
 * What a service becomes as a plan, and what is filled in for each child.
 */
import { FACT_NAMES } from '../../../src/service/fact-names';
import { filterOf } from '../../../src/child/filter';
import { fillPlan, onlyUidOf, planOf, prepareBlind, preparePlan, type Plan } from '../../../src/child/plan';
import type { Fd, PlanOptions } from '../../../src/native/addon';
import { NO_SANDBOX } from '../../../src/service/sandbox';
import type { Process } from '../../../src/service/service';
import type { PlaceholderValues } from '../../../src/service/template';
import { sampleExec } from '../service/sample';

/** The number of a channel's writer tells whose it is. */
const SINKS = { nullFd: 17, channelOf: (uid: number | null) => ({ writer: (uid ?? 18) as Fd, read: jest.fn() }) };
const COMMAND = { path: '/bin/cat', argv: ['cat'] };

const VALUES: PlaceholderValues = {
  'peer.address': '10.0.0.5',
  'peer.port': '51034',
  'local.address': '10.0.0.1',
  'local.port': '79',
  service: 'finger',
  connection: 'c1a7',
  fd: '0',
};

function optionsOf(fields: Partial<Process>, command = COMMAND): PlanOptions {
  return planOf(sampleExec(fields, command), false, SINKS);
}

function planFor(fields: Partial<Process>, ...argv: string[]): Plan {
  const command = { ...COMMAND, argv: ['cat', ...argv] };
  return preparePlan(sampleExec({ environment: {}, ...fields }, command), false, SINKS, null);
}

test('a plan says what the service says', () => {
  const command = { path: '/usr/bin/tr', argv: ['-tr', 'a-z', ''] };
  expect(optionsOf({ directory: '/srv' }, command)).toEqual({
    path: '/usr/bin/tr',
    argv: ['-tr', 'a-z', ''],
    environment: ['PATH=/bin'],
    directory: '/srv',
    steps: expect.any(Array),
    stderrFd: -1,
    isWait: false,
  });
});

const OWN = [{ op: 'setsid' }, { op: 'umask', args: [0o77] }, { op: 'prctl', args: [47, 4] }];

test('a child has a session, limits and a mask of its own, and no right of ours, before it enters its folder', () => {
  expect(optionsOf({ identity: null, umask: 0o77 }).steps).toEqual([...OWN, { op: 'chdir' }]);
});

test('what it may use comes before the rights to it are given up', () => {
  const resources = {
    limits: [{ resource: 6, soft: 20, hard: 20 }],
    nice: -5,
    cpus: [0, 31, 33],
    scheduling: { policy: 3, priority: 0 },
    ioPriority: 24576,
    oomScore: null,
  };
  const identity = { user: 'www', uid: 33, gid: 34, groups: [] };
  const steps = optionsOf({ identity, resources, umask: 0o77 }).steps;
  expect(steps.slice(0, 7)).toEqual([
    { op: 'setsid' },
    { op: 'prlimit', args: [6, 20, 20] },
    { op: 'sched_setaffinity', list: [0x80000001, 2] },
    { op: 'sched_setscheduler', args: [3, 0] },
    { op: 'setpriority', args: [-5] },
    { op: 'ioprio_set', args: [24576] },
    { op: 'umask', args: [0o77] },
  ]);
});

test('a child that becomes somebody gives up groups, then gid, then uid, is asked who it is, and enters its folder as that user', () => {
  const identity = { user: 'www', uid: 33, gid: 34, groups: [34, 35] };
  expect(optionsOf({ identity, umask: 0o77 }).steps).toEqual([
    ...OWN,
    { op: 'setgroups', list: [34, 35] },
    { op: 'setresgid', args: [34] },
    { op: 'setresuid', args: [33] },
    { op: 'verify-ids', args: [33, 34], list: [34, 35] },
    { op: 'chdir' },
  ]);
});

test('a filter of system calls comes last, when every other step is done', () => {
  const files = { readOnly: ['/'], readWrite: [] };
  const sandbox = { ...NO_SANDBOX, files, deniedCalls: ['clock'] as const };
  const { steps } = optionsOf({ sandbox, rights: { noNewPrivileges: true, capabilities: null, securebits: null } });
  expect(steps.slice(-4)).toEqual([
    { op: 'no_new_privs' },
    { op: 'chdir' },
    { op: 'landlock' },
    { op: 'seccomp', list: filterOf(['clock']) },
  ]);
});

test('the plan of a wait service keeps the socket here', () => {
  expect(planOf(sampleExec(), true, SINKS).isWait).toBe(true);
});

test('stderr is the connection, /dev/null, or the report socket of the user', () => {
  expect(optionsOf({ stderr: 'socket' }).stderrFd).toBe(-1);
  expect(optionsOf({ stderr: 'null' }).stderrFd).toBe(SINKS.nullFd);
  expect(optionsOf({ stderr: 'report' }).stderrFd).toBe(18);
  const identity = { user: 'www', uid: 33, gid: 34, groups: [34] };
  expect(optionsOf({ stderr: 'report', identity }).stderrFd).toBe(33);
  expect(planFor({ stderr: 'report', identity }).channel?.writer).toBe(33);
  expect(planFor({ identity }).channel).toBeNull();
});

test('a child that has a file for stderr opens it as its user, before it enters its folder', () => {
  const identity = { user: 'www', uid: 33, gid: 34, groups: [] };
  const { stderrFd, stderrFile, steps } = optionsOf({ stderr: { file: '/var/log/www' }, identity });
  expect([stderrFd, stderrFile]).toEqual([SINKS.nullFd, '/var/log/www']);
  expect(steps.slice(-3).map(({ op }) => op)).toEqual(['verify-ids', 'stderr', 'chdir']);
  expect(optionsOf({ stderr: 'socket' }).steps.map(({ op }) => op)).not.toContain('stderr');
});

test('a pipe for stderr is given to whom the child becomes', () => {
  const identity = { user: 'www', uid: 33, gid: 34, groups: [] };
  expect(planFor({ stderr: 'log', identity }).pipe).toEqual({ owner: { uid: 33, gid: 34 } });
  expect(planFor({ stderr: 'log' }).pipe).toEqual({ owner: null });
  expect(planFor({ stderr: 'socket', identity }).pipe).toBeNull();
});

test('a fact of the connection outranks a variable of the same name', () => {
  const forged = Object.fromEntries([...FACT_NAMES].map((name) => [name, 'forged %{fd}']));
  const environment = { ...forged, PATH: '/bin', REMOTE_ADDRESS: 'kept' };
  expect(optionsOf({ environment }).environment).toEqual(['PATH=/bin', 'REMOTE_ADDRESS=kept']);
  expect(planFor({ environment }).varying).toBeNull();
});

test('a percent sign that was written twice is one in words, values and the folder', () => {
  const command = { path: '/bin/100%', argv: ['100%%', '%%{fd}'] };
  expect(optionsOf({ environment: { A: '5%%' }, directory: '/a%%b' }, command)).toMatchObject({
    path: '/bin/100%',
    argv: ['100%', '%{fd}'],
    environment: ['A=5%'],
    directory: '/a%b',
  });
});

test('without placeholders all children are alike, and nobody asks for the values', () => {
  const plan = planFor({ environment: { A: '100%%' } }, '%%{service}');
  expect(plan.varying).toBeNull();
  const values = jest.fn(() => VALUES);
  expect(fillPlan(plan, 'PROTO=TCP\0', values)).toEqual({ facts: 'PROTO=TCP\0' });
  expect(values).not.toHaveBeenCalled();
});

test.each<[string, Partial<Process>, string[]]>([
  ['a word', {}, ['%{peer.port}']],
  ['a value', { environment: { A: '%{fd}' } }, []],
  ['the folder', { directory: '/srv/%{service}' }, []],
])('one placeholder in %s makes each child its own', (_where, fields, words) => {
  expect(planFor(fields, ...words).varying).not.toBeNull();
});

test('fills every word, the folder and the values that vary, with the facts first', () => {
  const environment = { FIXED: '1%%', WHO: '%{peer.address}:%{peer.port}', WHERE: '%{local.address}' };
  const plan = planFor({ environment, directory: '/srv/%{service}/100%%' }, '', '--id=%{connection}', 'two words');
  expect(fillPlan(plan, 'PROTO=TCP\0', () => VALUES)).toEqual({
    facts: 'PROTO=TCP\0WHO=10.0.0.5:51034\0WHERE=10.0.0.1\0',
    words: 'cat\0\0--id=c1a7\0two words\0',
    directory: '/srv/finger/100%',
  });
});

test('what is told once in the plan is not told again with the facts', () => {
  const environment = { FIXED: '1', VARYING: '%{fd}' };
  const run = sampleExec({ environment });
  expect(planOf(run, false, SINKS).environment).toEqual(['FIXED=1']);
  expect(fillPlan(preparePlan(run, false, SINKS, null), '', () => VALUES).facts).toBe('VARYING=0\0');
});

test.each<[Process['stderr'], boolean]>([
  ['socket', false],
  ['null', false],
  ['log', true],
  ['report', true],
  [{ file: '/var/log/it' }, false],
])('what runs before a program with stderr %j has a pipe to the log: %s', (stderr, hasPipe) => {
  const plan = prepareBlind(sampleExec({ stderr }), SINKS, null);
  expect([plan.pipe !== null, plan.channel]).toEqual([hasPipe, null]);
});

test('a security module is asked for its label by who we are still, and hears its own words', () => {
  const identity = { user: 'www', uid: 33, gid: 34, groups: [] };
  const labels = { apparmor: 'web', selinux: 'system_u:system_r:httpd_t:s0' };
  const { steps, apparmor, selinux } = optionsOf({ identity, labels });
  expect([apparmor, selinux]).toEqual(['exec web', 'system_u:system_r:httpd_t:s0']);
  expect(steps.map(({ op }) => op).slice(2, 6)).toEqual(['prctl', 'apparmor', 'selinux', 'setgroups']);
});

test.each([
  ['an ordinary user', { noNewPrivileges: true, capabilities: null, securebits: null }, 1000, 1000],
  [
    'one that keeps another right',
    { noNewPrivileges: true, capabilities: { numbers: [10], isBound: true }, securebits: null },
    1000,
    1000,
  ],
  [
    'one that keeps that right',
    { noNewPrivileges: true, capabilities: { numbers: [7], isBound: true }, securebits: null },
    1000,
    null,
  ],
  ['one that may gain rights', { noNewPrivileges: false, capabilities: null, securebits: null }, 1000, null],
  ['root', { noNewPrivileges: true, capabilities: null, securebits: null }, 0, null],
])('whose processes those of %s may be', (_, rights, uid, only) => {
  expect(onlyUidOf({ identity: { user: 'x', uid, gid: uid, groups: [] }, rights })).toBe(only);
});
