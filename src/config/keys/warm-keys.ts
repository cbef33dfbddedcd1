/**
 * `warm`: programs that are started ahead of their clients.
 */
import { z } from 'zod';
import { someTime } from './values';

/** Each is a process that waits. */
const MOST_WAITING = 1000;
const MOST_USES = 1_000_000_000;

const MODES = ['none', 'pool', 'template'] as const;

const warmKeys = {
  mode: z.enum(MODES).describe('As the word alone.'),
  size: z.int().min(1).max(MOST_WAITING).optional().describe('How many wait. Without it: 4 in a `pool`, 1 `template`.'),
  max_age: someTime.default('1h').describe('After so long another one takes its place.'),
  max_uses: z
    .int()
    .min(1)
    .max(MOST_USES)
    .default(100_000)
    .describe('After so many clients another template takes its place.'),
  start_timeout: someTime
    .default('10s')
    .describe('How long a program may take to its first use of the connection; then it is ended.'),
  early: z
    .array(z.enum(['getsockname']))
    .default([])
    .describe(
      'What the program may ask of the connection before it is there: `[getsockname]` for Node, which asks at its start and makes nothing of the answer.',
    ),
};

export const warmSchema = z
  .union([z.enum(MODES), z.strictObject(warmKeys)])
  .optional()
  .describe(
    'Start the program ahead of its clients: a `pool` of processes, or a `template` of which each client gets a copy ' +
      '([what that means](warm.md)). Without it: `none`.',
  );
