/**
 * The life of stdiod as a unit of systemd's, as docs/operations.md shows it.
 */
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { connectTo, exchange } from '../../system/client';
import { isRunning } from '../../system/proc';
import { InstalledUnit } from './installed';
import { promise } from './promises';
import { command, groupOf } from './unit';
import { waitFor } from './wait';

const [PORT, OTHER_PORT, LIMITED_PORT, SAYS_PORT] = [7200, 7201, 7202, 7203];
const GROUP = '/sys/fs/cgroup/system.slice/stdiod.service';
const LEAF = '{processes_max: 50, per_connection: {processes_max: 9}}';
/** A process in a session of its own, whose pid it tells. */
const LEAVES_ONE = `sh -c 'setsid sleep 2001 </dev/null >/dev/null 2>&1 & echo $!; exec cat'`;

/** Who is served has the time that it wants: both are longer than anything here takes. */
const PATIENCE = 'TimeoutStopSec=10min';

function servicesOn(port: number): string {
  return `defaults: {stop_grace: 10m}
services:
  it: {listen: "127.0.0.1:${port}", exec: ${JSON.stringify(LEAVES_ONE)}}
  limited: {listen: "127.0.0.1:${LIMITED_PORT}", exec: cat, cgroup: ${LEAF}}
  says: {listen: "127.0.0.1:${SAYS_PORT}", exec: [sh, -c, "echo to the log >&2; exec cat"], stderr: log}
`;
}

let installed: InstalledUnit | null = null;

/** Started by the first promise here, removed by the last one that has it. */
function common(): InstalledUnit {
  ok(installed !== null, 'the unit did not start');
  return installed;
}

promise('the unit of the manual starts, takes another file at a reload, and the clients of before go on', async () => {
  const unit = (installed = await InstalledUnit.start(servicesOn(PORT), { more: ['Delegate=yes', PATIENCE] }));
  const [pid, client] = [unit.pid, await connectTo(PORT)];
  ok(Number(await client.line()) > 0);
  await unit.reload(servicesOn(OTHER_PORT));
  equal(await client.ask('after'), 'after');
  const another = await connectTo(OTHER_PORT);
  ok(Number(await another.line()) > 0);
  deepEqual([unit.pid, unit.show('ActiveState')], [pid, 'active']);
});

promise('what an administrator does to systemd takes no limit away', async () => {
  const unit = common();
  const client = await connectTo(LIMITED_PORT);
  equal(await client.ask('before'), 'before');
  unit.systemctl('daemon-reload');
  unit.systemctl('set-property', '--runtime', 'stdiod.service', 'CPUWeight=50');
  equal(read('cpu.weight'), '50');
  const { pid } = unit.all('accepted').at(-1) ?? { pid: 0 };
  match(groupOf(pid), /^\/system.slice\/stdiod.service\/service-limited\/\d+$/);
  deepEqual(
    [read('service-limited/pids.max'), readFileSync(`/sys/fs/cgroup${groupOf(pid)}/pids.max`, 'utf8').trim()],
    ['50', '9'],
  );
  equal(await client.ask('after'), 'after');
  equal(await exchange(LIMITED_PORT, 'another'), 'another');
});

promise('the journal has what happens and what programs say, as lines of JSON of the unit', async () => {
  const unit = common();
  equal(await exchange(SAYS_PORT, 'to the client'), 'to the client');
  const { service, line } = await unit.until('said');
  deepEqual({ service, line }, { service: 'says', line: 'to the log' });
  const [entry] = unit.entries('"event":"said"');
  deepEqual([entry?._SYSTEMD_UNIT, entry?._PID, entry?._TRANSPORT], ['stdiod.service', String(unit.pid), 'stdout']);
});

promise(
  'a journal that hangs holds nobody up, and has everything afterwards, as has one that is started again',
  async () => {
    const unit = common();
    const journal = Number(command('systemctl', 'show', '--value', '-p', 'MainPID', 'systemd-journald.service'));
    const before = unit.all('reaped').length;
    process.kill(journal, 'SIGSTOP');
    try {
      for (const text of ['one', 'two', 'three']) equal(await exchange(LIMITED_PORT, text), text);
    } finally {
      process.kill(journal, 'SIGCONT');
    }
    await unit.until('reaped', before + 3);
    unit.systemctl('restart', 'systemd-journald.service');
    equal(await exchange(LIMITED_PORT, 'four'), 'four');
    await unit.until('reaped', before + 4);
    deepEqual(unit.all('lost'), []);
  },
);

promise('when stdiod is killed systemd starts it again, and nothing of the one before is left', async () => {
  const unit = common();
  const client = await connectTo(OTHER_PORT);
  const [left, before] = [Number(await client.line()), unit.pid];
  ok(isRunning(left));
  unit.systemctl('kill', '--kill-who=main', '-s', 'KILL', 'stdiod.service');
  await unit.until('serving', 2);
  deepEqual([isRunning(left), isRunning(before)], [false, false]);
  notEqual(unit.pid, before);
  equal(await exchange(LIMITED_PORT, 'again'), 'again');
  equal(read('service-limited/pids.max'), '50');
});

promise('a stop lets those finish who are served, ends what they leave, and is a success', async () => {
  const unit = common();
  const client = await connectTo(OTHER_PORT);
  const left = Number(await client.line());
  unit.systemctl('stop', '--no-block', 'stdiod.service');
  await unit.until('stopping');
  equal(await client.ask('still served'), 'still served');
  client.end();
  await unit.untilState('inactive');
  deepEqual([unit.show('Result'), unit.show('ExecMainStatus')], ['success', '0']);
  deepEqual([isRunning(left), existsSync(GROUP)], [false, false]);
  const { children } = await unit.until('stopped');
  equal(children, 0);
  unit.remove();
});

promise('a file with a mistake ends the unit with status 78, and it is not started again and again', async () => {
  const unit = InstalledUnit.install('services: {it: {listen: 70000, exec: cat}}\n');
  unit.systemctl('start', '--no-block', 'stdiod.service');
  await unit.untilState('failed');
  deepEqual([unit.show('ExecMainStatus'), unit.show('NRestarts')], ['78', '0']);
  await waitFor('the journal says why', () => unit.entries('services.it.listen').length > 0);
});

promise('as an ordinary user it may bind a low port, and its services may not', async () => {
  const exec = `sed -n 's/^Cap[IPEBA][a-z]*:[[:space:]]*//p' /proc/self/status`;
  const yaml = `services: {it: {listen: "127.0.0.1:80", exec: ${JSON.stringify(exec)}}}\n`;
  const unit = InstalledUnit.install(yaml, { more: ['User=nobody', 'AmbientCapabilities=CAP_NET_BIND_SERVICE'] });
  unit.systemctl('start', 'stdiod.service');
  await unit.until('serving');
  const [inheritable, permitted, effective, , ambient] = (await exchange(80, ''))
    .split('\n')
    .map((line) => parseInt(line, 16));
  deepEqual({ inheritable, permitted, effective, ambient }, { inheritable: 0, permitted: 0, effective: 0, ambient: 0 });
  equal(command('ps', '-o', 'user=', '-p', String(unit.pid)), 'nobody');
});

/** A file of the unit's control group. */
function read(path: string): string {
  return readFileSync(`${GROUP}/${path}`, 'utf8').trim();
}
