/**
 * services/dump as the oracle: what a program found when it started, with placeholders for what differs from run to run. A value
 * becomes a placeholder only where it is the right one: the child's own pid, the client's port, what the daemon's own process has.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from './daemon';
import { makeFolder, project } from './fixtures';
import { isRoot } from './machine';

export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value };

export interface Descriptor {
  readonly fd: number;
  readonly kind: string;
  readonly target: string;
  readonly [fact: string]: Value;
}

export interface Dump {
  readonly descriptors: readonly Descriptor[];
  readonly environment: readonly string[];
  readonly argv: readonly string[];
  readonly pid: number;
  readonly [fact: string]: Value;
}

/** The compiled program, where every user can reach it; gone after the test. */
export function dumpProgram(): string {
  const program = join(makeFolder(), 'dump');
  copyFileSync(join(project, 'dist/services/dump'), program);
  chmodSync(program, 0o755);
  return program;
}

export function parseDump(text: string): Dump {
  return JSON.parse(text) as Dump;
}

/** What the child of an ordinary service finds: the file of that name beside the sources of this one. */
export function goldenDump(): Dump {
  return parseDump(readFileSync(join(project, 'test/system/child.golden.json'), 'utf8'));
}

/**
 * With placeholders.
 * @param folder of the program
 * @param said members that the file says: they stay as they are, whatever the daemon has
 */
export function plainDump(
  dump: Dump,
  daemon: Daemon,
  folder: string,
  said: readonly string[] = [],
): Record<string, Value> {
  const own = parseDump(execFileSync(join(project, 'dist/services/dump'), { encoding: 'utf8' }));
  const names = namesOf(dump, daemon, folder);
  const known = (value: Value): Value => names.get(JSON.stringify(value).replaceAll('"', '')) ?? value;
  return {
    ...dump,
    ...inherited(dump, own, said),
    exe: known(dump['exe'] ?? ''),
    argv: dump.argv.map(known),
    directory: known(dump['directory'] ?? ''),
    descriptors: plainDescriptors(dump.descriptors, known),
    environment: dump.environment
      .filter((each) => !each.startsWith('SHELL='))
      .map((each) => plainVariable(each, names)),
    ...Object.fromEntries(['pid', 'parent', 'group', 'session'].map((name) => [name, known(dump[name] ?? '')])),
    ...Object.fromEntries(['uid', 'gid', 'groups'].map((name) => [name, plainIds(name, dump, own)])),
    capabilities: plainMembers(dump['capabilities'], own['capabilities']),
    rlimits: plainLimits(dump['rlimits'], own['rlimits']),
  };
}

/** What is the child's as it is the daemon's, unless the file says otherwise. */
const INHERITED = [
  'cgroups',
  'cpu_affinity',
  'denied_calls',
  'io_priority',
  'landlock_layers',
  'namespaces',
  'nice',
  'oom_score_adjust',
  'personality',
  'scheduling',
  'seccomp',
  'seccomp_filters',
  'security_label',
  'timer_slack_ns',
];

function inherited(dump: Dump, own: Dump, said: readonly string[]): Record<string, Value> {
  const alike = INHERITED.filter((name) => isAlike(dump[name], own[name]) && !said.includes(name));
  return Object.fromEntries(alike.map((name) => [name, '<inherited>']));
}

function isAlike(one: Value | undefined, other: Value | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Right values, by what they are called in a golden dump. */
function namesOf(dump: Dump, daemon: Daemon, folder: string): Map<string, string> {
  const { service, connection, peer, local } = factsOf(dump.pid, daemon);
  const [, peerPort = ''] = /^(?!unix:).*:(\d+)$/.exec(peer) ?? [];
  const [, peerPid = ''] = /^unix:pid:(\d+),/.exec(peer) ?? [];
  const [, localPort = ''] = /:(\d+)(?:\/udp)?$/.exec(local) ?? [];
  const path = local.replace(/^unix[^:]*:/, '');
  // The last of two that are alike counts: the path of what is no path is the address.
  const names: [string, string][] = [
    [String(dump.pid), '<pid>'],
    [String(daemon.pid), '<daemon>'],
    [service, '<service>'],
    [connection, '<connection>'],
    [peer, '<peer>'],
    [peerPort, '<peer port>'],
    [peerPid, '<peer pid>'],
    [path, '<path>'],
    [local.replace('/udp', '').replace(/^unix[^:]*:/, 'unix:'), '<local>'],
    [localPort, '<local port>'],
    [daemon.folder, '<folder>'],
    [join(folder, 'dump'), '<program>'],
  ];
  return new Map(names.filter(([value]) => value !== ''));
}

/** Of the child's beginning. */
function factsOf(pid: number, daemon: Daemon): { service: string; connection: string; peer: string; local: string } {
  const [started] = daemon.all('started', { pid });
  if (started !== undefined) return { ...started, peer: '', local: started.address };
  const [accepted] = daemon.all('accepted', { pid });
  if (accepted === undefined) throw new Error(`${pid} is no child of ${daemon.pid}: ${daemon.stderr}`);
  // One that is chosen by its name has no address of its own.
  const [listening] = [accepted.service, 'mux'].flatMap((service) => daemon.all('listening', { service }));
  return { ...accepted, local: listening?.address ?? '' };
}

/** `socket:[4711]` → `socket 1`: those that lead to the same have the same number. */
function plainDescriptors(descriptors: Dump['descriptors'], known: (value: Value) => Value): Record<string, Value>[] {
  const numbered = [...new Set(descriptors.map(({ target }) => target))].filter((target) => target.includes(':['));
  return descriptors.map((descriptor) => {
    const facts = Object.entries(descriptor).map(([name, value]): [string, Value] => [name, known(value)]);
    const at = numbered.indexOf(descriptor.target) + 1;
    const target = at === 0 ? descriptor.target : `${descriptor.kind} ${at}`;
    return { ...Object.fromEntries(facts), target };
  });
}

/** Where there is a SHELL depends on the account. */
const ABOUT_USER = /^(HOME|USER|LOGNAME)=/;

function plainVariable(variable: string, names: ReadonlyMap<string, string>): string {
  const [name = '', value = ''] = variable.split(/=(.*)/s, 2);
  return ABOUT_USER.test(variable) ? `${name}=<user's>` : `${name}=${names.get(value) ?? value}`;
}

/** Of nobody where the daemon is root, else our own. */
function plainIds(name: string, dump: Dump, own: Dump): Value {
  const ids = [...new Set([dump[name]].flat())];
  const wanted = isRoot ? idsOfNobody(name) : [...new Set([own[name]].flat())];
  return isAlike(ids.map(Number).sort(), wanted.map(Number).sort()) ? "<user's>" : (dump[name] ?? null);
}

function idsOfNobody(name: string): readonly Value[] {
  const flag = { uid: '-u', gid: '-g', groups: '-G' }[name] ?? '';
  return execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }).trim().split(' ');
}

function plainMembers(ours: Value | undefined, own: Value | undefined): Record<string, Value> {
  const others = new Map(membersOf(own));
  return Object.fromEntries(
    membersOf(ours).map(([name, value]) => {
      const isEmpty = Array.isArray(value) && value.length === 0;
      return [name, !isEmpty && isAlike(value, others.get(name)) ? '<inherited>' : value];
    }),
  );
}

/** Each is `<inherited>`, or has a hard one that is. */
function plainLimits(ours: Value | undefined, own: Value | undefined): Record<string, Value> {
  const others = new Map(membersOf(own));
  const plain = ([name, limit]: [string, Value]): [string, Value] => {
    const isWhole = isAlike(limit, others.get(name)) && !STANDARD.includes(name);
    return [name, isWhole ? '<inherited>' : { ...plainHard(limit, others.get(name)) }];
  };
  return Object.fromEntries(membersOf(ours).map(plain));
}

/** Limits that every child gets. */
const STANDARD: readonly string[] = ['open_files', 'core_size'];

function plainHard(limit: Value, own: Value | undefined): Record<string, Value> {
  const others = new Map(membersOf(own));
  return Object.fromEntries(
    membersOf(limit).map(([name, value]) => {
      return [name, name === 'hard' && isAlike(value, others.get(name)) ? '<inherited>' : value];
    }),
  );
}

function membersOf(value: Value | undefined): [string, Value][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
