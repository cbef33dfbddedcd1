/**
 * The keys that say what a program is kept away from.
 */
import { z } from 'zod';
import { CALL_GROUPS } from '../../service/system-calls';
import { path } from './values';

/** The kernel looks at each of them. */
const MOST_PATHS = 256;

export const SANDBOXES = ['none', 'basic', 'strict'] as const;

export const sandboxKeys = {
  sandbox: z
    .enum(SANDBOXES)
    .optional()
    .describe(
      'A name for several of the keys below: `basic` takes no right and disturbs hardly any program, `strict` is all of them. Without it: `none`.',
    ),
  private_network: z
    .boolean()
    .optional()
    .describe(
      'A network of its own, with nothing in it: only its connection leads out. Without it: as `sandbox` says.',
    ),
  private_ipc: z
    .boolean()
    .optional()
    .describe('System V IPC and POSIX message queues of its own. Without it: as `sandbox` says.'),
  private_hostname: z
    .boolean()
    .optional()
    .describe("A host name of its own, at first the machine's. Without it: as `sandbox` says."),
  private_tmp: z
    .boolean()
    .optional()
    .describe('`/tmp` and `/var/tmp` of its own, in memory, gone with the service. Without it: as `sandbox` says.'),
  private_devices: z
    .boolean()
    .optional()
    .describe(
      'No device that works but `null`, `zero`, `full`, `random` and `urandom` (Linux 5.12). Without it: as `sandbox` says.',
    ),
  private_processes: z
    .boolean()
    .optional()
    .describe(
      '`/proc` shows it, unless it is root, the processes of its own user alone, and cannot be written to. Without it: as `sandbox` says.',
    ),
  read_only: z
    .array(path)
    .max(MOST_PATHS)
    .optional()
    .describe(
      'Files and folders that it may read, and no others. Without it: all, and with `read_write` or `sandbox: strict`: `/`.',
    ),
  read_write: z
    .array(path)
    .max(MOST_PATHS)
    .optional()
    .describe(
      'Files and folders that it may write to, and no others. Without it: all, and with `read_only` or `sandbox: strict`: none.',
    ),
  hidden: z
    .array(path)
    .max(MOST_PATHS)
    .optional()
    .describe(
      'Files and folders in whose place it finds one that is empty and closed. Without it: none, and with `sandbox: strict`: `/home`, `/root` and `/run/user`.',
    ),
  system_calls: z
    .strictObject({
      deny: z
        .union([z.enum(['all']), z.array(z.enum(CALL_GROUPS))])
        .optional()
        .describe('Those that fail with EPERM, by groups; `all`: every group. Without it: as `sandbox` says.'),
      allow: z
        .array(z.enum(CALL_GROUPS))
        .optional()
        .describe('Groups that do not fail, of those that `deny` or `sandbox` names. Without it: none.'),
    })
    .prefault({})
    .describe('System calls that the program cannot make.'),
};
