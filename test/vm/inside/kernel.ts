/**
 * What depends on the kernel, and not every one has: vsock to oneself, and a Landlock that is too old for us.
 */
import { deepEqual, equal, match } from 'node:assert/strict';
import { join } from 'node:path';
import { exchange } from '../../system/client';
import type { Dump } from '../../system/dump';
import { promise } from './promises';
import { command, MAIN, Unit } from './unit';

const DUMP = join(MAIN, '../../services/dump');
const [TELLS, LEADS_ON, LENT, HAS_CAT] = [7007, 7008, 7009, 7100];
/** Everything of `strict` but Landlock's. */
const WALLS = `private_network: true, private_ipc: true, private_hostname: true, private_tmp: true, private_devices: true, \
private_processes: true, hidden: [/home, /root], capabilities: [], system_calls: {deny: all}`;

/** The folder of the file is in /tmp. */
const SERVICES = `defaults: {directory: /}
services:
  it: {listen: "vsock:${TELLS}", exec: ${DUMP}}
  redirect: {listen: "vsock:${LEADS_ON}", redirect: "127.0.0.1:${HAS_CAT}"}
  lent: {listen: "vsock:${LENT}", exec: ${DUMP}, wait: true}
  cat: {listen: "127.0.0.1:${HAS_CAT}", exec: cat}
  walled: {listen: "127.0.0.1:0", exec: ${DUMP}, ${WALLS}}
  strict: {listen: "127.0.0.1:0", exec: cat, sandbox: strict}
`;

let first: Promise<Unit> | null = null;

function common(): Promise<Unit> {
  return (first ??= Unit.startForGood(SERVICES));
}

promise('a program behind vsock has the connection itself, whose peer it may ask for', async () => {
  const unit = await common();
  const { descriptors, environment } = dumpIn(ask(TELLS, 'hello'));
  const { peer } = await unit.until('accepted', 'it');
  match(peer, /^vsock:1:\d+$/);
  deepEqual(
    descriptors.map(({ fd, family, peer: its }) => [fd, family, its]),
    [0, 1, 2].map((fd) => [fd, 'vsock', peer]),
  );
  deepEqual(
    environment.filter((each) => /^(PROTO|REMOTE_)/.test(each)),
    ['PROTO=VSOCK', 'REMOTE_ADDR=1', `REMOTE_PORT=${peer.slice('vsock:1:'.length)}`],
  );
  const { exit } = await unit.until('reaped', 'it');
  equal(exit, 0);
});

promise('a redirect leads from vsock to TCP', async () => {
  await common();
  equal(ask(LEADS_ON, 'through'), 'through');
});

promise('a vsock that listens may be lent to a program', async () => {
  const unit = await common();
  const { descriptors } = dumpIn(ask(LENT, ''));
  const { address } = await unit.until('started', 'lent');
  equal(address, `vsock:${LENT}`);
  deepEqual(
    descriptors.filter(({ family }) => family === 'vsock').map(({ fd, listening }) => [fd, listening]),
    [
      [0, true],
      [1, true],
      [3, true],
    ],
  );
});

promise('where Landlock is too old to keep files, who asks for that is unavailable and is told why', async () => {
  const unit = await common();
  const { reason, served } = await unit.until('unavailable', 'strict');
  match(reason, /the Landlock of this kernel is of version [12],/);
  equal(served, 'no');
});

promise('and the other walls of a strict service stand without it', async () => {
  const unit = await common();
  const dump = dumpIn(await exchange(unit.port('walled'), ''));
  const { seccomp, landlock_layers, no_new_privileges } = dump;
  deepEqual(
    { seccomp, landlock_layers, no_new_privileges },
    { seccomp: 'filter', landlock_layers: 0, no_new_privileges: true },
  );
  deepEqual(Object.values(dump['capabilities'] ?? {}).flat(), []);
  const own = (kind: string): string => command('readlink', `/proc/self/ns/${kind}`);
  const others = Object.entries(dump['namespaces'] ?? {}).filter(([kind, its]) => its !== own(kind));
  deepEqual(
    others.map(([kind]) => kind),
    ['ipc', 'mnt', 'net', 'uts'],
  );
});

/** What is said to a vsock of this machine, and what comes back. */
function ask(port: number, text: string): string {
  return command('sh', '-c', `printf '%s\\n' '${text}' | socat -t 60 - VSOCK-CONNECT:1:${port}`);
}

function dumpIn(text: string): Dump {
  return JSON.parse(text) as Dump;
}
