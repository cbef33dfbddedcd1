/**
 * The kernel as a witness: what /proc says of a process, whoever it is.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Each open descriptor with what it leads to: `socket:[1234]`, `/dev/null`. */
export function openFds(pid: number): Map<number, string> {
  const numbers = readdirSync(`/proc/${pid}/fd`).map(Number);
  return new Map(numbers.flatMap((fd) => readFd(pid, fd)));
}

/** Those that were not open before. What was open then for a moment, a file of /proc or a copy of a connection, may be gone. */
export function moreFds(pid: number, before: ReadonlyMap<number, string>): [number, string][] {
  return [...openFds(pid)].filter(([fd, target]) => before.get(fd) !== target);
}

/** One may be closed while they are listed. */
function readFd(pid: number, fd: number): [number, string][] {
  try {
    return [[fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]];
  } catch {
    return [];
  }
}

/** O_NONBLOCK and the other file status flags of a descriptor. */
export function fdFlags(pid: number, fd: number): number {
  const flags = /^flags:\s*(\d+)$/m.exec(read(pid, `fdinfo/${fd}`))?.[1];
  return parseInt(flags ?? '', 8);
}

/** The fields of /proc/PID/status by name. */
export function status(pid: number): Record<string, string> {
  const lines = read(pid, 'status').trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
}

export interface Stat {
  /** `R`, `S`, `T`, `Z`, … */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly terminal: number;
  /** User and system time, clock ticks. */
  readonly ticks: number;
}

/** proc_pid_stat(5). The name may hold spaces and parentheses: the fields are counted from behind it. */
export function stat(pid: number): Stat {
  const text = read(pid, 'stat');
  const [state = '', ...numbers] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parent = 0, group = 0, session = 0, terminal = 0, , , , , , , user = 0, system = 0] = numbers.map(Number);
  return { state, parent, group, session, terminal, ticks: user + system };
}

export function isRunning(pid: number): boolean {
  try {
    return stat(pid).state !== 'Z';
  } catch {
    return false;
  }
}

/** Zombies included; none when the process itself is gone. */
export function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const lists = threads.map((thread) => read(pid, `task/${thread}/children`));
    return lists.join(' ').split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** All processes of a user that run. */
export function processesOf(uid: number): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => new RegExp(`^Uid:\\t${uid}\\t`, 'm').test(tryRead(pid, 'status')) && isRunning(pid));
}

/** Of each thread its name, its state, and where in the kernel it waits: for the message of a test that waits in vain. */
export function threads(pid: number): string[] {
  const tasks = existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : [];
  const fact = (task: string, name: string): string => tryRead(pid, `task/${task}/${name}`).trim();
  return tasks.map((task) => {
    const [state] = fact(task, 'stat').split(') ').slice(-1);
    return [task, fact(task, 'comm'), state?.charAt(0), fact(task, 'wchan'), fact(task, 'syscall')].join(' ');
  });
}

export function zombiesOf(pid: number): number[] {
  return childrenOf(pid).filter((child) => !isRunning(child));
}

/** `Max open files` → [soft, hard], as text. */
export function limits(pid: number): Map<string, string> {
  const rows = read(pid, 'limits').trim().split('\n').slice(1);
  return new Map(rows.map((row) => [row.slice(0, 26).trim(), row.slice(26).replace(/\s+/g, ' ').trim()]));
}

/** NUL-separated: `environ`, `cmdline`. */
export function strings(pid: number, file: 'environ' | 'cmdline'): string[] {
  return read(pid, file).split('\0').slice(0, -1);
}

export function link(pid: number, name: 'cwd' | 'exe' | 'root'): string {
  return readlinkSync(`/proc/${pid}/${name}`);
}

/** `socket:[…]` of each TCP listener that a process holds, by local port. */
export function listeners(pid: number): Map<number, string> {
  const held = new Set(openFds(pid).values());
  const rows = ['net/tcp', 'net/tcp6'].flatMap((table) => tryRead(pid, table).trim().split('\n').slice(1));
  const found = rows.map((row) => row.trim().split(/\s+/)).filter(([, , , state]) => state === LISTEN);
  const entries = found.map((row): [number, string] => [portOf(row[1] ?? ''), `socket:[${row[9] ?? ''}]`]);
  return new Map(entries.filter(([, socket]) => held.has(socket)));
}

/** The descriptor of the TCP listener on that port. */
export function listenerFd(pid: number, port: number): number {
  const socket = listeners(pid).get(port);
  const found = [...openFds(pid)].find(([, target]) => target === socket);
  if (socket === undefined || found === undefined) throw new Error(`${pid} has no listener on port ${port}`);
  return found[0];
}

/** The epoll set that watches a descriptor. */
export function epollSetOf(pid: number, watched: number): number {
  const sets = [...openFds(pid)].filter(([, target]) => target === 'anon_inode:[eventpoll]').map(([fd]) => fd);
  const found = sets.find((fd) => new RegExp(`^tfd:\\s*${watched}\\s`, 'm').test(tryRead(pid, `fdinfo/${fd}`)));
  if (found === undefined) throw new Error(`${pid} watches no descriptor ${watched}`);
  return found;
}

const LISTEN = '0A';

function portOf(address: string): number {
  return parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
}

function tryRead(pid: number, file: string): string {
  try {
    return read(pid, file);
  } catch {
    return '';
  }
}

function read(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}
