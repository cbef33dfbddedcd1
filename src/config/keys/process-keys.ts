/**
 * The keys that say how a process is started: who it is, and what it finds.
 */
import { z } from 'zod';
import { parseIoPriority, parseScheduling } from '../../service/scheduling';
import { SECUREBIT_NAMES } from '../../service/securebits';
import { cgroupKeys } from './cgroup-keys';
import { remedies } from './remedies';
import { rlimitKeys } from './rlimit-keys';
import { sandboxKeys } from './sandbox-keys';
import {
  account,
  accounts,
  capability,
  cpus,
  credentials,
  fileMode,
  label,
  nonEmpty,
  path,
  stderr,
  stopSignal,
  variableName,
  variables,
} from './values';

export const identityKeys = {
  user: account
    .optional()
    .describe(
      "Who the program runs as: a name or an id. Without it: `nobody` when stdiod runs as root, else stdiod's own user.",
    ),
  group: account.optional().describe("Its group: a name or an id. Without it: the user's own group."),
  groups: accounts
    .optional()
    .describe('Its supplementary groups. Without it: those of the user, or none when `group` is given.'),
};

export const processKeys = {
  chroot: path
    .optional()
    .describe(
      'The folder that is `/` for it (chroot(2)): paths of `exec`, `directory` and `stderr` are found inside. Takes root.',
    ),
  directory: path
    .optional()
    .describe('Its working directory. Without it: the folder of the file, or `/` where the user may not enter that.'),
  umask: fileMode('0022')
    .optional()
    .describe(
      'Permissions that it does not give to the files it creates; a quoted octal mode. Without it: `"0022"`, with `sandbox: strict` `"0077"`.',
    ),
  rlimits: z
    .strictObject(rlimitKeys)
    .prefault({})
    .describe('Resource limits: one value, soft and hard, or `SOFT:HARD`. `unlimited` is one, too.'),
  cgroup: z
    .strictObject(cgroupKeys)
    .prefault({})
    .describe('Limits of all its processes together, by a control group: the whole service, and each connection.'),
  nice: z
    .int()
    .min(-20)
    .max(19)
    .optional()
    .describe("Its place at the CPU: -20 (first) to 19 (last). Without it: stdiod's own."),
  cpu_affinity: cpus.optional().describe("The CPUs that it may run on: `0-3,8`. Without it: stdiod's own."),
  scheduling: z
    .string()
    .refine((value) => parseScheduling(value) !== undefined, { error: 'not a scheduling policy' })
    .register(remedies, { remedy: () => 'write other, batch, idle, fifo:1 (to 99) or round-robin:1 (to 99)' })
    .optional()
    .describe("`other`, `batch`, `idle`, `fifo:N` or `round-robin:N`, see sched(7). Without it: stdiod's own."),
  io_priority: z
    .string()
    .refine((value) => parseIoPriority(value) !== undefined, { error: 'not an I/O priority' })
    .register(remedies, { remedy: () => 'write idle, best-effort:0 (first, to 7) or realtime:0 (to 7)' })
    .optional()
    .describe('`idle`, `best-effort:N` or `realtime:N`; N is 0 (first) to 7. Without it: by its `nice`.'),
  oom_score_adjust: z
    .int()
    .min(-1000)
    .max(1000)
    .optional()
    .describe(
      "Who is ended first when memory runs out: -1000 (never) to 1000 (first). Without it: stdiod's own, and 300 more once it has lived for a second.",
    ),
  no_new_privileges: z
    .boolean()
    .optional()
    .describe(
      'Whether no program that it starts has more rights than itself, set-user-ID or not. Without it: `true`, or as root `false`.',
    ),
  capabilities: z
    .array(capability)
    .optional()
    .describe(
      'The capabilities that it has, through every program that it starts: `[net_raw]`. Without it: none; as root all, but none with `sandbox: strict`.',
    ),
  securebits: z
    .array(z.enum(SECUREBIT_NAMES))
    .optional()
    .describe('What root is no more for it (capabilities(7)), in the words of systemd: `[noroot, noroot-locked]`.'),
  apparmor: label
    .refine((value) => !value.includes('%{'), { error: 'there are no placeholders here' })
    .optional()
    .describe("The AppArmor profile that it runs under. Without it: as AppArmor's own rules say for it."),
  selinux: label
    .regex(/^[^:]+:[^:]+:[^:]+(:.+)?$/, { error: 'not a context of SELinux' })
    .register(remedies, {
      remedy: () => 'write USER:ROLE:TYPE, and the level where the policy has one: USER:ROLE:TYPE:s0',
    })
    .optional()
    .describe('The SELinux context that it runs in. Without it: as the policy says for it.'),
  ...sandboxKeys,
  credentials: credentials
    .default({})
    .describe(
      'Secrets by name, and the files that stdiod reads them from: files that only its children have, in the folder `$CREDENTIALS_DIRECTORY`.',
    ),
  env: variables.default({}).describe('Variables to set, over those that every service gets.'),
  pass_env: z.array(variableName).default([]).describe("Names of variables to pass on from stdiod's own environment."),
  stderr: stderr
    .optional()
    .describe(
      "Standard error: to the client (`socket`), told as events (`log`), nowhere (`null`), or a file's path. " +
        'Without it: `socket`, or with `wait`: `log`.',
    ),
  stop_signal: stopSignal
    .optional()
    .describe('What asks it to leave when it has to go, before SIGKILL: `SIGINT`, `HUP`. Without it: `SIGTERM`.'),
};

/** Of the command itself: each service says its own. */
export const commandKeys = {
  argv0: nonEmpty.optional().describe("What the program sees as its own name. Without it: the command's first word."),
};
