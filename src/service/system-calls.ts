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
  /** Calls that are denied with some arguments; of several with one name each is enough. */
  readonly partly?: readonly Partly[];
  /** Calls that do the same with arguments that no filter can read. */
  readonly absent?: readonly number[];
}

interface Partly {
  readonly call: Numbers;
  /** All of them hold. */
  readonly when: readonly Condition[];
}

/** Of the lower half of an argument: it has one of these bits, or is none of these numbers. */
export type Condition = { readonly argument: number } & (
  { readonly has: number } | { readonly isNot: readonly number[] }
);

/** From 424 on a number is the same everywhere. */
const both = (number: number): Numbers => [number, number];

/** CLONE_NEW… of linux/sched.h. */
const NEW_NAMESPACES = 0x7e02_0000;
const CLONE3 = 435;
/** linux/mman.h, linux/shm.h. */
const [PROT_WRITE, PROT_EXEC, SHM_EXEC] = [2, 4, 0o100000];
/** linux/fcntl.h; the second without O_DIRECTORY, which is part of it and differs. */
const [O_CREAT, O_TMPFILE] = [0o100, 0o20000000];
const OPENAT2 = 437;
/** Set-user-ID and set-group-ID. */
const SET_ID = 0o6000;
/** What a program asks for that only wants to know (personality(2)), and what all are. */
const [ASK, PER_LINUX] = [0xffff_ffff, 0];

const partly = (call: Numbers, ...when: Condition[]): Partly => ({ call, when });
/** A mode is looked at only where it makes a file. */
const opened = (call: Numbers, flags: number): Partly[] =>
  [O_CREAT, O_TMPFILE].map((bit) => partly(call, { argument: flags, has: bit }, { argument: flags + 1, has: SET_ID }));
const withMode = (call: Numbers, argument: number): Partly => partly(call, { argument, has: SET_ID });

const GROUPS = {
  clock: {
    about: 'set the clock',
    calls: { adjtimex: [159, 171], clock_adjtime: [305, 266], clock_settime: [227, 112], settimeofday: [164, 170] },
  },
  code: {
    about: 'execute memory that it can write, or could',
    calls: {},
    partly: [
      partly([9, 222], { argument: 2, has: PROT_WRITE }, { argument: 2, has: PROT_EXEC }), // mmap
      partly([10, 226], { argument: 2, has: PROT_EXEC }), // mprotect
      partly([329, 288], { argument: 2, has: PROT_EXEC }), // pkey_mprotect
      partly([30, 196], { argument: 2, has: SHM_EXEC }), // shmat
    ],
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
  identity: {
    about: 'become another user or group, give files to others, change its capabilities',
    calls: {
      capset: [126, 91],
      chown: [92, null],
      fchown: [93, 55],
      fchownat: [260, 54],
      lchown: [94, null],
      setfsgid: [123, 152],
      setfsuid: [122, 151],
      setgid: [106, 144],
      setgroups: [116, 159],
      setregid: [114, 143],
      setresgid: [119, 149],
      setresuid: [117, 147],
      setreuid: [113, 145],
      setuid: [105, 146],
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
    partly: [partly([56, 220], { argument: 0, has: NEW_NAMESPACES })], // clone
    absent: [CLONE3],
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
  personality: {
    about: 'run as on another system, or with addresses that are not random',
    calls: {},
    partly: [partly([135, 92], { argument: 0, isNot: [ASK, PER_LINUX] })],
  },
  priorities: {
    about: 'change priorities, CPUs, limits by the old call, and where memory lies',
    calls: {
      ioprio_set: [251, 30],
      mbind: [237, 235],
      migrate_pages: [256, 238],
      move_pages: [279, 239],
      sched_setaffinity: [203, 122],
      sched_setattr: [314, 274],
      sched_setparam: [142, 118],
      sched_setscheduler: [144, 119],
      set_mempolicy: [238, 237],
      set_mempolicy_home_node: both(450),
      setpriority: [141, 140],
      setrlimit: [160, 164],
    },
  },
  set_id_files: {
    about: 'make programs that run as their owner or group',
    calls: {},
    partly: [
      withMode([90, null], 1), // chmod
      withMode([91, 52], 1), // fchmod
      withMode([268, 53], 2), // fchmodat
      withMode(both(452), 2), // fchmodat2
      withMode([83, null], 1), // mkdir
      withMode([258, 34], 2), // mkdirat
      withMode([133, null], 1), // mknod
      withMode([259, 33], 2), // mknodat
      withMode([85, null], 1), // creat
      ...opened([2, null], 1), // open
      ...opened([257, 56], 2), // openat
    ],
    absent: [OPENAT2],
  },
  sockets: {
    about: 'make sockets, but for pairs (socketpair(2)); those that it has work on',
    calls: { socket: [41, 198] },
  },
  system: {
    about: 'set what holds for the whole machine: names, quotas, accounting, swap, ports of devices',
    calls: {
      acct: [163, 89],
      fanotify_init: [300, 262],
      fanotify_mark: [301, 263],
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
  /** Ascending by number. */
  readonly partly: readonly DeniedPartly[];
  /** As if the kernel did not have them. */
  readonly absent: readonly number[];
}

export interface DeniedPartly {
  readonly number: number;
  /** In any of these cases; all conditions of one hold. */
  readonly cases: readonly (readonly Condition[])[];
}

export function groupAbout(name: CallGroup): string {
  return GROUPS[name].about;
}

/** The names of the calls of a group that are denied whatever their arguments. */
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
    partly: casesByNumber(
      all.flatMap(({ partly = [] }) => partly),
      place,
    ),
    absent: all.flatMap(({ absent = [] }) => absent),
  };
}

function casesByNumber(all: readonly Partly[], place: 0 | 1): DeniedPartly[] {
  const cases = new Map<number, (readonly Condition[])[]>();
  for (const { call, when } of all) {
    const number = call[place];
    if (number !== null) cases.set(number, [...(cases.get(number) ?? []), when]);
  }
  return [...cases].sort(([a], [b]) => a - b).map(([number, each]) => ({ number, cases: each }));
}
