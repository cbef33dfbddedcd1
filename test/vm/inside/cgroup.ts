/**
 * What a service and each of its connections may use: `cgroup` against the kernel's controllers.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { connectTo, exchange } from '../../system/client';
import { isRunning } from '../../system/proc';
import { promise } from './promises';
import { command, groupOf, Unit } from './unit';
import { waitFor } from './wait';

const DELEGATE = 'Delegate=yes';
const MIB = 1024 ** 2;
/** Asks for more memory than any limit here. */
const HOG = `perl -e '$x = "x" x 400_000_000; print "had it"'`;
/** Forty processes that want no end, in groups of their own. */
const BOMB = `perl -e '$SIG{TERM} = "IGNORE"; for (1..40) { my $pid = fork; if (defined $pid and !$pid) { setpgrp; exec "sleep", "1000" } } sleep 1000'`;
const DAEMON = `sh -c 'setsid sleep 1001 >/dev/null 2>&1 & echo $!; cat /proc/self/cgroup'`;
const BURN = `sh -c 'perl -e "1 while times < 0.5" & sleep 1; wait'`;

function service(name: string, exec: string, cgroup: string, more = ''): string {
  return `  ${name}: {listen: "127.0.0.1:0", exec: ${JSON.stringify(exec)}, cgroup: ${cgroup}${more}}\n`;
}

function one(exec: string, cgroup: string, more = ''): string {
  return `services:\n${service('it', exec, cgroup, more)}`;
}

const LIMITS =
  '{memory_max: 256M, cpu_quota: 150%, per_connection: {processes_max: 9, memory_high: 64M, cpu_weight: 7}}';

const SERVICES = `services:
${service('plain', 'cat', '{}')}\
${service('it', 'cat', LIMITS)}\
${service('hog', HOG, '{per_connection: {memory_max: 32M}}')}\
${service('hogs', HOG, '{memory_max: 48M}')}\
${service('none', 'cat', '{per_connection: {memory_max: 4K}}')}\
${service('daemon', DAEMON, '{processes_max: 100}')}\
${service('two', 'sleep 1002', '{processes_max: 2}')}\
${service('burn', BURN, '{cpu_weight: 100}')}\
${service('lent', 'sleep 1003', '{processes_max: 10}', ', wait: true')}`;

/** To start one takes long here: it serves for all promises that leave it as it was. */
let first: Promise<Unit> | null = null;

function common(): Promise<Unit> {
  return (first ??= Unit.startForGood(SERVICES, DELEGATE));
}

/** It serves, as the process that it was. */
async function expectService(unit: Unit, pid: number): Promise<void> {
  equal(await exchange(unit.port('plain'), 'still there'), 'still there');
  equal(unit.pid, pid);
}

promise(
  'a child is in a leaf of its own, with its limits and those of its service, and stdiod is beside them',
  async () => {
    const unit = await common();
    const client = await connectTo(unit.port('it'));
    equal(await client.ask('hello'), 'hello');
    const { pid } = await unit.until('accepted', 'it');
    const leaf = groupOf(pid);
    match(leaf, new RegExp(`^/system.slice/${unit.name}/service-it\\+memory/\\d+$`));
    const inLeaf = leaf.slice(`/system.slice/${unit.name}/`.length);
    deepEqual(
      [unit.read('service-it+memory/memory.max'), unit.read('service-it+memory/cpu.max')],
      [String(256 * MIB), '150000 100000'],
    );
    deepEqual(
      ['pids.max', 'memory.high', 'cpu.weight', 'memory.oom.group'].map((file) => unit.read(`${inLeaf}/${file}`)),
      ['9', String(64 * MIB), '7', '1'],
    );
    equal(unit.read('stdiod-main/cgroup.procs'), String(unit.pid));
  },
);

promise('a session that takes more memory than it may is ended, told so, and nobody else is harmed', async () => {
  const unit = await common();
  const { pid } = unit;
  const neighbour = await connectTo(unit.port('it'));
  equal(await neighbour.ask('before'), 'before');
  equal(await exchange(unit.port('hog'), ''), '');
  const { signal, reason, memory } = await unit.until('reaped', 'hog');
  deepEqual([signal, reason], ['SIGKILL', 'out-of-memory']);
  ok(memory !== undefined && memory > 16 * MIB && memory <= 33 * MIB, `memory is ${memory ?? 'not told'}`);
  equal(await neighbour.ask('after'), 'after');
  await expectService(unit, pid);
});

promise(
  'with many that take too much at once stdiod serves on: the kernel does not end it in the place of a child',
  async () => {
    const unit = await common();
    const { pid } = unit;
    await Promise.all(Array.from({ length: 12 }, () => exchange(unit.port('hogs'), '').catch(() => '')));
    await unit.until('reaped', 'hogs', 12);
    await expectService(unit, pid);
  },
);

promise('a group that has no memory for a child to begin with costs that child', async () => {
  const unit = await common();
  const { pid } = unit;
  for (let number = 1; number <= 3; number += 1) {
    await exchange(unit.port('none'), 'x').catch(() => '');
    await waitFor('its end', () => unit.all('reaped', 'none').length + unit.all('dropped', 'none').length >= number);
  }
  await expectService(unit, pid);
});

promise('what a program leaves behind ends with it, and its leaf is taken away', async () => {
  const unit = await common();
  const [daemon = '', group = ''] = (await exchange(unit.port('daemon'), '')).split('\n');
  const [left, leaf = ''] = [Number(daemon), group.split('/').at(-1)];
  const { pid } = await unit.until('reaped', 'daemon');
  ok(left > 0 && left !== pid && leaf !== '', group);
  await waitFor('the daemon is gone', () => !isRunning(left));
  await waitFor('its leaf is gone', () => !unit.groupsIn('service-daemon').includes(leaf));
});

promise('a service that has all its processes drops who comes, and no other service waits for it', async () => {
  const unit = await common();
  for (let number = 1; number <= 2; number += 1) {
    await connectTo(unit.port('two'));
    await unit.until('accepted', 'two', number);
  }
  equal(await exchange(unit.port('two'), ''), '');
  const dropped: object = await unit.until('dropped', 'two');
  deepEqual({ ...dropped, step: 'processes_max', error: 'EAGAIN' }, dropped);
  await expectService(unit, unit.pid);
});

promise(
  'the processor time of all that a session has started is counted, and no memory where none is limited',
  async () => {
    const unit = await common();
    await exchange(unit.port('burn'), '');
    const { cpu, memory } = await unit.until('reaped', 'burn');
    ok(cpu >= 0.5, `cpu is ${cpu}`);
    equal(memory, undefined);
  },
);

promise('a service with wait has its group as well', async () => {
  const unit = await common();
  await connectTo(unit.port('lent'));
  const { pid } = await unit.until('started', 'lent');
  match(groupOf(pid), /service-lent\/\d+$/);
});

promise(
  'a fork bomb has the processes that it may have, and is gone with its session; a reload changes limits where they stand',
  async () => {
    const bomb = service('bomb', BOMB, '{per_connection: {processes_max: 20}}', ', stop_grace: 100ms, stderr: null');
    const unit = await Unit.start(one('cat', '{memory_max: 64M, processes_max: 50}') + bomb, DELEGATE);
    await connectTo(unit.port('bomb'));
    await unit.until('accepted', 'bomb');
    const counts = (): string[] =>
      unit.groupsIn('service-bomb').map((leaf) => unit.read(`service-bomb/${leaf}/pids.current`));
    await waitFor('it has all that it may have', () => counts().includes('20'));
    const client = await connectTo(unit.port('it'));
    equal(await client.ask('before'), 'before');
    equal(unit.read('service-it+memory/memory.max'), String(64 * MIB));
    await unit.reload(one('cat', '{memory_max: 32M, cpu_quota: 50%, per_connection: {processes_max: 5}}') + bomb);
    await waitFor('it is in force', () => unit.read('service-it+memory/cpu.max') === '50000 100000');
    deepEqual(
      ['memory.max', 'pids.max'].map((file) => unit.read(`service-it+memory/${file}`)),
      [String(32 * MIB), 'max'],
    );
    equal(await client.ask('after'), 'after');
    client.end();
    process.kill(unit.pid, 'SIGTERM');
    await unit.until('stopped');
    await waitFor('all of it is gone', () => command('sh', '-c', 'pgrep -f "sleep 100[0]" || true') === '');
  },
);

promise('an ordinary user to whom systemd delegates may limit services', async () => {
  const unit = await Unit.start(
    one('cat', '{memory_max: 64M, per_connection: {processes_max: 5}}'),
    DELEGATE,
    'User=nobody',
  );
  equal(await exchange(unit.port('it'), 'served'), 'served');
  equal(unit.read('service-it+memory/memory.max'), String(64 * MIB));
});

promise(
  'without Delegate=yes the service is unavailable and says so, and the others are served where they were',
  async () => {
    const yaml = `services:\n${service('it', 'cat', '{memory_max: 64M}')}${service('plain', 'cat', '{}')}`;
    const unit = await Unit.start(yaml, 'Delegate=no');
    const { reason, served } = await unit.until('unavailable', 'it');
    match(reason, /systemd has not delegated stdiod's control group, \/sys\/fs\/cgroup\/system.slice\/it-\d+.service/);
    equal(served, 'no');
    await expectService(unit, unit.pid);
    deepEqual(unit.groupsIn('.'), []);
  },
);
