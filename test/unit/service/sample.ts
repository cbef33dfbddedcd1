/** A service for tests that care about one or two of its fields. */
import { OPEN } from '../../../src/service/admission';
import { NO_SANDBOX } from '../../../src/service/sandbox';
import type { Command, Exec, Process, Service, SocketOptions } from '../../../src/service/service';

export function sampleService(fields: Partial<Service> = {}): Service {
  return {
    name: 'echo',
    description: null,
    enabled: true,
    listen: [{ sockets: [{ family: 'ipv4', type: 'stream', address: '127.0.0.1', port: 7 }] }],
    run: sampleExec(),
    wait: false,
    tcpmux: null,
    maxConnections: 1000,
    whenFull: 'wait',
    admission: OPEN,
    messages: { admitted: null, refused: null },
    session: { timeoutMs: null, idleMs: null, disconnectMs: null, leftover: null },
    socket: sampleSocketOptions(),
    accounts: 'basic',
    stopGraceMs: 5000,
    ...fields,
  };
}

const CAT: Command = { path: '/bin/cat', argv: ['cat'] };

export function sampleExec(fields: Partial<Process> = {}, command = CAT): Exec {
  const process: Process = {
    identity: null,
    root: null,
    directory: '/',
    umask: 0o22,
    resources: { limits: [], nice: null, cpus: null, scheduling: null, ioPriority: null, oomScore: null },
    cgroup: null,
    rights: { noNewPrivileges: false, capabilities: null, securebits: null },
    sandbox: NO_SANDBOX,
    credentials: null,
    labels: { apparmor: null, selinux: null },
    environment: { PATH: '/bin' },
    stderr: 'socket',
    stopSignal: 'SIGTERM',
    ...fields,
  };
  return { kind: 'exec', command, process, before: null, warm: null };
}

export function sampleSocketOptions(fields: Partial<SocketOptions> = {}): SocketOptions {
  return {
    backlog: 4096,
    nodelay: false,
    keepalive: false,
    extra: {},
    mode: null,
    owner: null,
    group: null,
    ...fields,
  };
}

/** Of a child that has used nothing. */
export const NO_USAGE = {
  userSeconds: 0,
  systemSeconds: 0,
  minorFaults: 0,
  majorFaults: 0,
  voluntarySwitches: 0,
  involuntarySwitches: 0,
  diskReadBytes: 0,
  diskWrittenBytes: 0,
};
