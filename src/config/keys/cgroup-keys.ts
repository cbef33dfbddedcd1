/**
 * The keys of `cgroup`, which stand there for the service as a whole and in `per_connection` for each of its connections.
 */
import { z } from 'zod';
import { CGROUP_LIMITS, parseCgroupLimit, type CgroupKind, type CgroupUnit } from '../../service/cgroup';
import { remedies } from './remedies';

const EXAMPLES: Readonly<Record<CgroupUnit, string>> = {
  bytes: 'write bytes, or a number and K, M or G: 256M',
  count: 'write a number: 100',
  percent: 'write percent of one CPU: 50%, or 200% for two CPUs',
  weight: 'write a number from 1 to 10000; 100 is what others have',
};

const limitKeys = Object.fromEntries(
  Object.entries(CGROUP_LIMITS).map(([name, kind]) => [name, valueOf(kind).optional().describe(`${kind.meaning}.`)]),
) as Record<keyof typeof CGROUP_LIMITS, z.ZodOptional<ReturnType<typeof valueOf>>>;

export const cgroupKeys = {
  ...limitKeys,
  per_connection: z.strictObject(limitKeys).optional().describe('The same for each connection by itself.'),
};

function valueOf(kind: CgroupKind) {
  return z
    .union([z.int().min(0), z.string()])
    .refine((value) => parseCgroupLimit(kind, value) !== undefined, { error: 'not a limit' })
    .register(remedies, { remedy: () => EXAMPLES[kind.unit] });
}
