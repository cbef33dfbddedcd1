/**
 * System calls that hardly any program needs and many attacks do, in groups: what `system_calls` denies by the group's name. By number
 * for each architecture, as programs call them; none of them is one that a child needs to reach its program.
 */

/** Of x86-64 and of arm64; null: there is no such call. */
type Numbers = readonly [x64: number | null, arm64: number | null];

interface Group {
  /** What a program cannot do any more. */
  readonly about: string;
  readonly calls: Readonly<Record<string, Numbers>>;
  /** Also clone(2) with a flag of these, and clone3(2), whose flags no filter can read. */
  readonly cloneFlags?: number;
}

/** From 424 on a number is the same everywhere. */
const both = (number: number): Numbers => [number, number];

/** CLONE_NEW… of linux/sched.h. */
const NEW_NAMESPACES = 0x7e02_0000;

const GROUPS = {
  clock: {
    about: 'set the clock',
    calls: { adjtimex: [159, 171], clock_adjtime: [305, 266], clock_settime: [227, 112], settimeofday: [164, 170] },
  },
  debug: {
    about: 'trace other processes, read and write their memory, take their descriptors, measure the machine',
    calls: {
      kcmp: [312, 272],
      perf_event_open: [298, 241],
      pidfd_getfd: both(438),
      process_madvise: both(440),
      process_vm_readv: [310, 270],
      process_vm_writev: [311, 271],
      ptrace: [101, 117],
    },
  },
  io_uring: {
    about: 'use io_uring, whose requests no filter sees',
    calls: { io_uring_setup: both(425), io_uring_enter: both(426), io_uring_register: both(427) },
  },
  kernel: {
    about:
      'load modules and BPF programs, read the log of the kernel, handle page faults, restart the machine into another kernel',
    calls: {
      bpf: [321, 280],
      delete_module: [176, 106],
      finit_module: [313, 273],
      init_module: [175, 105],
      kexec_file_load: [320, 294],
      kexec_load: [246, 104],
      reboot: [169, 142],
      syslog: [103, 116],
      userfaultfd: [323, 282],
    },
  },
  keys: {
    about: 'use the keyrings of the kernel',
    calls: { add_key: [248, 217], keyctl: [250, 219], request_key: [249, 218] },
  },
  mounts: {
    about: 'mount and unmount',
    calls: {
      fsconfig: both(431),
      fsmount: both(432),
      fsopen: both(430),
      fspick: both(433),
      mount: [165, 40],
      mount_setattr: both(442),
      move_mount: both(429),
      open_tree: both(428),
      open_tree_attr: both(467),
      pivot_root: [155, 41],
      umount2: [166, 39],
    },
  },
  namespaces: {
    about: 'make and join namespaces, change its root',
    calls: { chroot: [161, 51], setns: [308, 268], unshare: [272, 97] },
    cloneFlags: NEW_NAMESPACES,
  },
  obsolete: {
    about: 'call what is there for programs of long ago alone, or for none',
    calls: {
      _sysctl: [156, null],
      afs_syscall: [183, null],
      create_module: [174, null],
      get_kernel_syms: [177, null],
      getpmsg: [181, null],
      lookup_dcookie: [212, 18],
      modify_ldt: [154, null],
      nfsservctl: [180, 42],
      putpmsg: [182, null],
      query_module: [178, null],
      remap_file_pages: [216, 234],
      security: [185, null],
      sysfs: [139, null],
      tuxcall: [184, null],
      uselib: [134, null],
      ustat: [136, null],
      vserver: [236, null],
    },
  },
  system: {
    about: 'set what holds for the whole machine: names, quotas, accounting, swap, ports of devices',
    calls: {
      acct: [163, 89],
      fanotify_init: [300, 262],
      ioperm: [173, null],
      iopl: [172, null],
      open_by_handle_at: [304, 265],
      quotactl: [179, 60],
      quotactl_fd: both(443),
      setdomainname: [171, 162],
      sethostname: [170, 161],
      swapoff: [168, 225],
      swapon: [167, 224],
      vhangup: [153, 58],
    },
  },
} as const satisfies Readonly<Record<string, Group>>;

export type CallGroup = keyof typeof GROUPS;
export type Architecture = 'x64' | 'arm64';

export const CALL_GROUPS = Object.keys(GROUPS) as readonly CallGroup[];

export interface DeniedCalls {
  /** Ascending. */
  readonly numbers: readonly number[];
  /** Of clone(2) with one of these; 0: none. clone3 is denied with them. */
  readonly cloneFlags: number;
}

export function groupAbout(name: CallGroup): string {
  return GROUPS[name].about;
}

/** The names of the calls of a group. */
export function callsOf(name: CallGroup): readonly string[] {
  return Object.keys(GROUPS[name].calls);
}

export function numbersOf(groups: readonly CallGroup[], architecture: Architecture): DeniedCalls {
  const all: readonly Group[] = groups.map((name) => GROUPS[name]);
  const place = architecture === 'x64' ? 0 : 1;
  const numbers = all.flatMap(({ calls }) => Object.values(calls).map((pair) => pair[place]));
  const known = numbers.filter((number) => number !== null);
  return {
    numbers: [...new Set(known)].sort((a, b) => a - b),
    cloneFlags: all.reduce((flags, { cloneFlags = 0 }) => flags | cloneFlags, 0),
  };
}
