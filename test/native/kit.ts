/**
 * What the tests of the addon have in hand inside their fresh process: the addon, a client, a child, and the kernel's own
 * view of this process as witness.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stepsOf } from '../../src/child/plan';
import { NO_SANDBOX, type Sandbox } from '../../src/service/sandbox';
import type { Labels, Resources, Rights } from '../../src/service/service';
import { findOwnCgroup } from '../../src/native/own-cgroup';
import {
  addon,
  REAP_FIELDS,
  type Fd,
  type ListenerOptions,
  type NativeAddress,
  type NativeIdentity,
  type NativePlan,
  type PlanOptions,
} from '../../src/native/addon';

export interface Exit {
  readonly pid: number;
  readonly status: number;
  readonly signal: number;
  readonly cpuSeconds: number;
  readonly rssKib: number;
  readonly step: string;
  readonly error: number;
  /** From system CPU on, as the addon has them. */
  readonly usage: readonly number[];
}

const OPTIONS: ListenerOptions = { backlog: 128, nodelay: false, keepalive: false, extra: {} };
const BATCH = 64;
/** Long enough for a walk to find everyone. */
const WALK_MS = 60_000;
const LISTENER_BASE = 1024;
const SPARE_FDS = 8;
const NOBODY = 65534;

const exits = new Map<number, Exit>();
const records = new Float64Array(BATCH * REAP_FIELDS);

/** Waits until `fact` is something; it looks again in every turn of the event loop. */
async function until<Fact>(fact: () => Fact | undefined | false | null): Promise<Fact> {
  for (;;) {
    const value = fact();
    if (value !== undefined && value !== false && value !== null) return value;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** TCP on a port that the kernel chooses. */
function listen(address = '127.0.0.1', options: Partial<ListenerOptions> = {}): { fd: Fd; port: number } {
  return bind(internet('stream', address), options);
}

/** An address of either type, on a port that the kernel chooses unless it is given. */
function internet(type: 'stream' | 'datagram', address = '127.0.0.1', port = 0): NativeAddress {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', type, address, port };
}

/** Any socket that stdiod can bind. */
function bind(address: NativeAddress, options: Partial<ListenerOptions> = {}): { fd: Fd; port: number } {
  return addon.openListener(address, { ...OPTIONS, ...options });
}

async function connect(port: number, address = '127.0.0.1'): Promise<net.Socket> {
  const client = net.connect({ port, host: address, allowHalfOpen: true });
  await once(client, 'connect');
  return client;
}

/** What accept gives, by name. */
interface AcceptedSocket {
  readonly fd: Fd;
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

function tryAccept(listener: Fd): AcceptedSocket | null {
  const numbers = new Int32Array(addon.acceptFields);
  const [peerAddress = '', localAddress = ''] = addon.accept(listener, numbers)?.split('\0') ?? [];
  const [fd = 0, ...rest] = numbers;
  if (fd === 0) return null;
  const [peerPort = 0, localPort = 0, pid = 0, uid = 0, gid = 0] = rest.map((number) => number >>> 0);
  return { fd: fd as Fd, peerAddress, peerPort, localAddress, localPort, pid, uid, gid };
}

function accept(listener: Fd): Promise<AcceptedSocket> {
  return until(() => tryAccept(listener));
}

/** A client and our end of its connection. */
async function connection(): Promise<{ client: net.Socket; socket: AcceptedSocket }> {
  const { fd, port } = listen();
  const client = await connect(port);
  const socket = await accept(fd);
  addon.close(fd);
  return { client, socket };
}

/** The same by way of a Unix socket. */
async function unixConnection(): Promise<{ client: net.Socket; socket: AcceptedSocket }> {
  const path = `${temporaryFolder()}/socket`;
  const { fd } = bind({ family: 'unix', type: 'stream', path });
  const client = net.connect({ path, allowHalfOpen: true });
  const socket = await accept(fd);
  addon.close(fd);
  return { client, socket };
}

/** All that a client receives until the end; rejects when the connection is reset. */
async function readAll(client: net.Socket): Promise<string> {
  let received = '';
  client.setEncoding('utf8').on('data', (piece: string) => (received += piece));
  await once(client, 'end');
  return received;
}

/** `identity`, `umask`, `resources`, `rights`, `confined` and `labels` become the steps that stdiod makes of them. */
type PlanWishes = Partial<PlanOptions> & {
  readonly identity?: NativeIdentity | null;
  readonly umask?: number;
  readonly resources?: Partial<Resources>;
  readonly rights?: Partial<Rights>;
  readonly confined?: Partial<Sandbox>;
  readonly labels?: Partial<Labels>;
};

const NO_WISHES: Resources = {
  limits: [{ resource: 7, soft: 1024, hard: -2 }],
  nice: null,
  cpus: null,
  scheduling: null,
  ioPriority: null,
  oomScore: null,
};

function plan(argv: readonly string[], wishes: PlanWishes = {}): NativePlan {
  const { identity = null, umask = 0o22, resources = {}, rights = {}, confined = {}, labels = {}, ...options } = wishes;
  return addon.preparePlan({
    path: argv[0] ?? '',
    argv,
    environment: ['PATH=/usr/bin:/bin'],
    directory: '/',
    steps: stepsOf({
      umask,
      root: options.root ?? null,
      resources: { ...NO_WISHES, ...resources },
      identity: identity === null ? null : { user: '', ...identity },
      stderr: options.stderrFile === undefined ? 'socket' : { file: options.stderrFile },
      rights: { noNewPrivileges: false, capabilities: null, securebits: null, ...rights },
      sandbox: { ...NO_SANDBOX, ...confined },
      labels: { apparmor: null, selinux: null, ...labels },
    }),
    stderrFd: -1,
    isWait: false,
    ...options,
  });
}

function shell(script: string, options: PlanWishes = {}): NativePlan {
  return plan(['/bin/sh', '-c', script], options);
}

/** A new control group in the one that we are in, gone when it is empty and we end. */
function controlGroup(): string {
  const { folder = '' } = findOwnCgroup() ?? {};
  const group = join(folder, `stdiod-test-${process.pid}-${(groups += 1)}`);
  fs.mkdirSync(group);
  process.on('exit', () => {
    fs.rmdirSync(group);
  });
  return group;
}

let groups = 0;

/** Something to be a child's fds 0, 1 and 2 where no client is needed. */
function nullConnection(): Fd {
  return fs.openSync('/dev/null', 'r+') as Fd;
}

/** Collects every exit into `exits`. No child_process in this process from here on. */
function openReaper(): void {
  addon.openReaper(() => {
    reap(true);
  });
}

function reap(everyone: boolean): number {
  const count = everyone ? addon.reapWalk(records, WALK_MS) : addon.reap(records);
  for (let at = 0; at < count * REAP_FIELDS; at += REAP_FIELDS) {
    const [pid = 0, status = 0, signal = 0, userSeconds = 0, rssKib = 0, step = 0, error = 0, ...usage] =
      records.subarray(at, at + REAP_FIELDS);
    const cpuSeconds = usage.slice(0, 1).reduce((sum, system) => sum + system, userSeconds);
    exits.set(pid, { pid, status, signal, cpuSeconds, rssKib, step: addon.stepNames[step] ?? '?', error, usage });
  }
  return count === BATCH ? count + reap(everyone) : count;
}

function exitOf(pid: number): Promise<Exit> {
  return until(() => exits.get(pid));
}

/** The connection is a socket with its client: what the child writes is what the client reads. */
async function outputOf(prepared: NativePlan, facts = ''): Promise<{ output: string; exit: Exit }> {
  const { client, socket } = await connection();
  const pid = addon.spawn(prepared, { fd: socket.fd, facts });
  const output = await readAll(client);
  client.destroy();
  return { output, exit: await exitOf(pid) };
}

function openFds(): string[] {
  const directory = '/proc/self/fd';
  return fs.readdirSync(directory).filter((fd) => fs.existsSync(`${directory}/${fd}`));
}

/** Flags of an open file as fcntl(2) would tell them: fs/proc/fd.c adds close-on-exec to those of the file. */
function flagsOf(fd: number, pid = process.pid): { isCloseOnExec: boolean; isNonBlocking: boolean } {
  const [, octal = '0'] = /^flags:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? [];
  const flags = parseInt(octal, 8);
  return { isCloseOnExec: (flags & 0o2000000) !== 0, isNonBlocking: (flags & fs.constants.O_NONBLOCK) !== 0 };
}

/** What the call throws, as plain data. */
function failureOf(call: () => unknown): Record<string, unknown> | null {
  try {
    call();
    return null;
  } catch (error) {
    const { message, code, errno, syscall } = error as NodeJS.ErrnoException;
    return { message, code, errno, syscall, isError: error instanceof Error };
  }
}

/** A soft limit of this process (prlimit(1)), as long as the reaper is not open. */
function setLimit(name: 'nofile' | 'nproc', soft: number): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--${name}=${soft}:`]);
}

/** A row of /proc/self/limits. */
function limits(name: string): { soft: string; hard: string } {
  const row = new RegExp(`^${name} +(\\S+) +(\\S+)`, 'm').exec(fs.readFileSync('/proc/self/limits', 'utf8'));
  return { soft: row?.[1] ?? '', hard: row?.[2] ?? '' };
}

/** Lowers the limit to what is open and fills the gaps. @returns what is to be closed again */
function takeEveryFd(): Fd[] {
  setLimit(
    'nofile',
    Math.max(
      ...openFds()
        .map(Number)
        .filter((fd) => fd < LISTENER_BASE),
    ) + SPARE_FDS,
  );
  const taken: Fd[] = [];
  while (failureOf(() => taken.push(nullConnection())) === null);
  return taken;
}

/** How many clients had to send their SYN to this port again, from /proc/net/tcp: rows in SYN_SENT with a retransmit. */
function unansweredSyns(port: number): number {
  const [, ...rows] = fs.readFileSync('/proc/net/tcp', 'utf8').trim().split('\n');
  const columns = rows.map((row) => row.trim().split(/\s+/));
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return columns.filter(([, , to = '', state, , , again]) => to.endsWith(remote) && state === '02' && Number(again) > 0)
    .length;
}

function stateOf(pid: number): string {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.charAt(stat.lastIndexOf(')') + 2);
}

function isZombie(pid: number): boolean {
  return stateOf(pid) === 'Z';
}

/** Pids of all that we started and nobody collected. */
function children(): string[] {
  return fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);
}

/** How many slots the addon has made: one shared mapping behind a guard page each. */
function slotCount(): number {
  const guards = fs.readFileSync('/proc/self/maps', 'utf8').match(/^\S+ ---s .*\/dev\/zero/gm);
  return guards?.length ?? 0;
}

/** Within the folder that this process was given, and gone with it. */
function temporaryFolder(): string {
  return fs.mkdtempSync(join(tmpdir(), 'own-'));
}

/** A pipe of which we are the reader too. */
function fifo(): number {
  return fs.openSync(makeFifo(), 'r+');
}

function brokenPipe(): number {
  const path = makeFifo();
  const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const writer = fs.openSync(path, 'w');
  fs.closeSync(reader);
  return writer;
}

function makeFifo(): string {
  const path = `${temporaryFolder()}/pipe`;
  execFileSync('mkfifo', [path]);
  return path;
}

/** Writes until no more is taken. @returns how much was */
function fillWith(write: () => number): number {
  let total = 0;
  for (let taken = write(); taken > 0; taken = write()) total += taken;
  return total;
}

/** The ordinary user that root becomes here; null: we are one. */
function nobody(): NativeIdentity | null {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY, groups: [NOBODY] } : null;
}

function becomeNobody(): void {
  if (process.getuid?.() !== 0) return;
  process.setgroups?.([NOBODY]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}

/** From here on system calls fail as an expression of strace(1) says; the tracer stays until we end. */
/** @param path only what is done to it */
async function inject(expression: string, path?: string): Promise<void> {
  const filter = path === undefined ? [] : ['-P', path];
  const words = ['-f', '-qq', '-o', '/dev/null', ...filter, '-e', `inject=${expression}`, '-p', String(process.pid)];
  const strace = spawn('strace', words, { stdio: 'inherit' });
  strace.unref();
  await until(() => /^TracerPid:\t[1-9]/m.test(fs.readFileSync('/proc/self/status', 'utf8')));
}

/** As long as the reaper is not open. A Python without any shim in front of it, which a child could not start. */
function python(): string {
  return execFileSync('python3', ['-c', 'import os, sys; print(os.path.realpath(sys.executable))'], {
    encoding: 'utf8',
  }).trim();
}

/** Where Python's own words go: its fd 2 is the socket, or its complaint would be lost. */
interface PythonRun {
  readonly exit: Exit;
  readonly told: string;
}

const PRELUDE = `import os, socket, struct, sys
s = socket.socket(fileno=0)
def tell(*words):
    with open(sys.argv[1], 'a') as file:
        print(*words, file=file)
`;

/**
 * A Python program that gets a socket as `s` and may `tell` words, which are a line each. It borrows the socket, as a child
 * of a `wait` service does. To be prepared before the reaper is open.
 */
function borrower(script: string, ...words: string[]): (socket: Fd, facts?: string) => Promise<PythonRun> {
  const folder = temporaryFolder();
  const [told, complaint] = [`${folder}/told`, `${folder}/complaint`];
  for (const file of [told, complaint]) fs.writeFileSync(file, '');
  const argv = [python(), '-c', `${PRELUDE}${script}`, told, ...words];
  const prepared = plan(argv, { isWait: true, stderrFd: fs.openSync(complaint, 'a') });
  return async (socket, facts = '') => {
    const exit = await exitOf(addon.spawn(prepared, { fd: socket, facts }));
    if (exit.status !== 0) throw new Error(`${exit.step} ${exit.status} ${fs.readFileSync(complaint, 'utf8')}`);
    return { exit, told: fs.readFileSync(told, 'utf8') };
  };
}

/** A Python program of this machine that runs beside us until it ends. As long as the reaper is not open. */
async function runPython(script: string, ...words: string[]): Promise<string> {
  const child = spawn(python(), ['-c', `import os, socket, sys\n${script}`, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (child.exitCode !== 0) throw new Error(`python3 ended with ${child.exitCode ?? ''}`);
  return output;
}

/** @returns the local port, from which the text is sent to a port of 127.0.0.1 */
async function sendDatagrams(port: number, ...texts: string[]): Promise<number> {
  const socket = createSocket('udp4');
  for (const each of texts)
    await new Promise((resolve) => {
      socket.send(each, port, '127.0.0.1', resolve);
    });
  const { port: from } = socket.address();
  socket.close();
  return from;
}

export const kit = {
  addon,
  fs,
  net,
  exits,
  until,
  listen,
  internet,
  bind,
  connect,
  accept,
  tryAccept,
  connection,
  unixConnection,
  readAll,
  plan,
  shell,
  nullConnection,
  openReaper,
  reap,
  exitOf,
  outputOf,
  openFds,
  flagsOf,
  failureOf,
  setLimit,
  takeEveryFd,
  unansweredSyns,
  python,
  spawn,
  borrower,
  runPython,
  sendDatagrams,
  limits,
  stateOf,
  isZombie,
  children,
  slotCount,
  makeFifo,
  temporaryFolder,
  controlGroup,
  fifo,
  brokenPipe,
  fillWith,
  nobody,
  becomeNobody,
  inject,
};
export type Kit = typeof kit;
