/**
 * The keys that say what a program is kept away from.
 */
import { z } from 'zod';
import { CALL_GROUPS } from '../../service/system-calls';

export const sandboxKeys = {
  private_network: z
    .boolean()
    .optional()
    .describe('A network of its own, with nothing in it: only its connection leads out. Without it: `false`.'),
  private_ipc: z
    .boolean()
    .optional()
    .describe('System V IPC and POSIX message queues of its own. Without it: `false`.'),
  private_hostname: z
    .boolean()
    .optional()
    .describe("A host name of its own, at first the machine's. Without it: `false`."),
  system_calls: z
    .strictObject({
      deny: z
        .union([z.enum(['all']), z.array(z.enum(CALL_GROUPS))])
        .optional()
        .describe('Those that fail with EPERM, by groups; `all`: every group.'),
    })
    .prefault({})
    .describe('System calls that the program cannot make.'),
};
