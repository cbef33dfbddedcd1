/**
 * What the loader asks of the machine, as an interface, so that `config` needs neither the addon nor root to be tested.
 * `src/machine` gives the real answers; unit tests give their own.
 */
import type { Capability } from '../../service/capabilities';
import type { PassedSocket } from '../../service/listen-text';
import type { PortNames, Protocol } from '../../service/port-text';
import type { Identity } from '../../service/service';
import type { BinaryFormat } from './binary-formats';

/** In place of an answer: for want of memory or descriptors the machine cannot tell at this moment. */
export class NotNow extends Error {
  /** @param code the errno name */
  constructor(readonly code: string) {
    super(`the machine cannot tell now: ${code}`);
  }
}

export interface Machine {
  /** stdiod's own effective ids. */
  readonly uid: number;
  readonly gid: number;
  /** As Node names it: `x64`, `arm64`. */
  readonly architecture: string;
  /** What execve(2) takes of arguments and environment together, bytes. */
  readonly startBytes: number;
  /** fs.suid_dumpable (proc_sys_fs(5)). */
  readonly suidDumpable: number;
  /** Of the kernel's Landlock (landlock(7)); 0: it has none. */
  readonly landlockVersion: number;
  /** The profiles of AppArmor that are loaded; unknown: they are not for stdiod to see. null: AppArmor is not there. */
  apparmorProfiles(): readonly string[] | 'unknown' | null;
  /** Whether SELinux is there, enforcing or not. */
  readonly hasSelinux: boolean;
  /** Whether the kernel has IPv6. */
  readonly hasIpv6: boolean;
  /** stdiod's own environment, for `pass_env` and for looking up bare command names. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute path of a program that comes with stdiod. */
  ownProgram(name: OwnProgram): string;
  /** Whether stdiod's own threads have it in their effective set (capabilities(7)). */
  hasCapability(capability: Capability): boolean;
  /** The hard limit that stdiod can give a child (getrlimit(2)); -1: none. */
  highestLimit(resource: number): number;
  /** The nice value that stdiod can give without CAP_SYS_NICE. */
  lowestNice(): number;
  /** stdiod's own oom_score_adj; null: /proc is not that of its processes. */
  oomScore(): number | null;
  /** The CPUs that stdiod may run on. */
  cpus(): readonly number[];
  /** The control group in which those of services would be made; null: this machine has no cgroup v2. */
  cgroup(): CgroupFacts | null;
  /** Whether stdiod has the right to bind this port (net.ipv4.ip_unprivileged_port_start, CAP_NET_BIND_SERVICE). */
  mayBindPort(port: number): boolean;
  /** An account by name or by number, through the system's name service; undefined: there is none. @throws NotNow */
  user(nameOrId: string | number): Account | undefined;
  /** @throws NotNow */
  group(nameOrId: string | number): Group | undefined;
  /** The supplementary groups that the group database gives an account, its own group included. */
  groupsOf(account: Account): readonly number[];
  /** The port names of /etc/services; empty without that file. */
  portNames(protocol: Protocol): PortNames;
  /** The sockets that were passed to stdiod when it was started (sd_listen_fds(3)), for as long as it runs. */
  passedSockets(): readonly PassedSocket[];
  /** The main names of the network interfaces. */
  interfaces(): readonly string[];
  /** By its main name or another one. */
  hasInterface(name: string): boolean;
  /** The IP addresses of this machine, numeric and canonical. */
  addresses(): readonly string[];
  /** Whether the kernel binds to it: also one of a whole network that is routed here, a broadcast or a multicast address. */
  hasAddress(address: string): boolean;
  /** What stat(2) says, or the errno name. */
  file(path: string): FileFacts | string;
  /** What lstat(2) says of it and, for a link, readlink(2); or the errno name. */
  entry(path: string): Entry | string;
  /** From the folder that stdiod stands in. */
  absolute(path: string): string;
  /** The first bytes of a file; undefined: stdiod may not read it. */
  head(path: string): Buffer | undefined;
  /** As much as the first so many bytes of a regular file, or the errno name. */
  contents(path: string, mostBytes: number): Buffer | string;
  /** Without symbolic links; as it is where it leads nowhere. */
  realPath(path: string): string;
  /** What the kernel says when this identity (null: stdiod itself) wants to execute the file or enter the folder: null or an errno name. */
  whyNotExecutable(path: string, identity: Identity | null): string | null;
  /** The same for reading a file. */
  whyNotReadable(path: string, identity: Identity | null): string | null;
  /** The same for writing to a file, or to a folder: for making files there. */
  whyNotWritable(path: string, identity: Identity | null): string | null;
  /** What the kernel runs beside ELF programs and scripts. */
  binaryFormats(): readonly BinaryFormat[];
}

/** Of a control group, version 2 (cgroups(7)). */
export interface CgroupFacts {
  readonly folder: string;
  /** Nobody else manages it: systemd has marked it as delegated, or it is no unit of systemd's. */
  readonly isDelegated: boolean;
  readonly isWritable: boolean;
  /** Processes in it besides stdiod: a group with groups below it may have none. */
  readonly strangers: readonly number[];
  /** That may be used in it. */
  readonly controllers: readonly string[];
  /** That there are at the root of what is visible of the tree. */
  readonly known: readonly string[];
  /** cgroup.kill, which came with Linux 5.14. */
  readonly hasKill: boolean;
  /** Whether groups have a file of this name, as far as can be told. */
  readonly hasFile: (name: string) => boolean;
}

/** `builtin` serves the built-ins but tcpmux. */
export type OwnProgram = 'builtin' | 'park' | 'redirect';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
}

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other';
  /** Permission bits. */
  readonly mode: number;
}

export interface Entry {
  readonly kind: 'file' | 'link' | 'other';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Where a link leads; null: it is none. */
  readonly target: string | null;
}
