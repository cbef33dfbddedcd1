/**
 * A machine that is asked each question once: ten thousand services name few programs and fewer users.
 * Made for one load; answers are not kept for the next.
 */
import type { Identity } from '../../service/service';
import type { Machine } from './machine';

export function askOnce(machine: Machine): Machine {
  const once = remember();
  return {
    ...machine,
    mayBindPort: (port) => once(`bind ${port}`, () => machine.mayBindPort(port)),
    user: (nameOrId) => once(`user ${typeof nameOrId} ${nameOrId}`, () => machine.user(nameOrId)),
    group: (nameOrId) => once(`group ${typeof nameOrId} ${nameOrId}`, () => machine.group(nameOrId)),
    groupsOf: (account) => once(`groups ${account.uid} ${account.name}`, () => machine.groupsOf(account)),
    cgroup: () => once('cgroup', () => machine.cgroup()),
    portNames: (protocol) => once(`ports ${protocol}`, () => machine.portNames(protocol)),
    passedSockets: () => once('passed', () => machine.passedSockets()),
    interfaces: () => once('interfaces', () => machine.interfaces()),
    hasInterface: (name) => once(`interface ${name}`, () => machine.hasInterface(name)),
    addresses: () => once('addresses', () => machine.addresses()),
    hasAddress: (address) => once(`address ${address}`, () => machine.hasAddress(address)),
    file: (path) => once(`stat ${path}`, () => machine.file(path)),
    entry: (path) => once(`lstat ${path}`, () => machine.entry(path)),
    head: (path) => once(`head ${path}`, () => machine.head(path)),
    whyNotExecutable: (path, identity) =>
      once(`execute ${keyOf(identity)} ${path}`, () => machine.whyNotExecutable(path, identity)),
    whyNotReadable: (path, identity) =>
      once(`read ${keyOf(identity)} ${path}`, () => machine.whyNotReadable(path, identity)),
    whyNotWritable: (path, identity) =>
      once(`write ${keyOf(identity)} ${path}`, () => machine.whyNotWritable(path, identity)),
    binaryFormats: () => once('formats', () => machine.binaryFormats()),
  };
}

type Once = <Answer>(question: string, ask: () => Answer) => Answer;

function remember(): Once {
  const answers = new Map<string, unknown>();
  return <Answer>(question: string, ask: () => Answer): Answer => {
    if (!answers.has(question)) answers.set(question, ask());
    return answers.get(question) as Answer;
  };
}

function keyOf(identity: Identity | null): string {
  return identity === null ? '-' : `${identity.uid}:${identity.gid}:${identity.groups.join(',')}`;
}
