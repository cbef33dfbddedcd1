/**
 * The keys that say what a program is kept away from.
 */
import { z } from 'zod';

export const sandboxKeys = {
  private_network: z
    .boolean()
    .optional()
    .describe('A network of its own, with nothing in it: only its connection leads out. Without it: `false`.'),
};
