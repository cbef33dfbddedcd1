/**
 * A service under a profile of AppArmor's.
 */
import { equal, match } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { exchange } from '../../system/client';
import { promise } from './promises';
import { Unit } from './unit';

const PROFILE = 'stdiod-test';
/** Everything but one file that everybody may read. */
const RULES = `profile ${PROFILE} flags=(attach_disconnected) {
  file,
  network,
  unix,
  signal,
  capability,
  deny /etc/hostname r,
}
`;

const ASK = `sh -c 'cat /proc/self/attr/apparmor/current; cat /etc/hostname 2>&1'`;
const BEFORE = '[[sh, -c, "cat /proc/self/attr/apparmor/current"]]';
const KEYS = `listen: "127.0.0.1:0", apparmor: ${PROFILE}`;
const SERVICES = `services:
  it: {${KEYS}, exec: ${JSON.stringify(ASK)}, stderr: log, before: ${BEFORE}}
  free: {${KEYS}, exec: ${JSON.stringify(ASK)}, no_new_privileges: false, user: root}
  kept: {${KEYS}, exec: ${JSON.stringify(ASK)}, private_network: true, private_tmp: true, system_calls: {deny: all}}
  lost: {listen: "127.0.0.1:0", apparmor: stdiod-none, exec: cat}
`;

function parser(flag: '--add' | '--remove'): void {
  execFileSync('apparmor_parser', [flag, '--skip-cache'], { input: RULES });
}

promise('a program and what runs before it are under the profile that the file says, or do not run', async () => {
  parser('--add');
  const unit = await Unit.start(SERVICES);
  for (const service of ['it', 'free', 'kept']) {
    match(
      await exchange(unit.port(service), ''),
      new RegExp(`^${PROFILE} \\(enforce\\)\\n.*ermission denied`),
      service,
    );
  }
  equal((await unit.until('said', 'it')).line, `${PROFILE} (enforce)`);
  match((await unit.until('unavailable', 'lost')).reason, /AppArmor has no profile "stdiod-none"/);
  parser('--remove');
  equal(await exchange(unit.port('free'), ''), '');
  const { step, error } = { step: '', error: '', ...(await unit.until('dropped', 'free')) };
  equal(`${step} ${error}`, 'apparmor ENOENT');
});
