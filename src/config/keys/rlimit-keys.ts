/**
 * The keys of `rlimits`.
 */
import { z } from 'zod';
import { RLIMITS, isAbove, parseRlimit, type RlimitKind, type RlimitUnit } from '../../service/rlimits';
import { remedies } from './remedies';

const EXAMPLES: Readonly<Record<RlimitUnit, string>> = {
  count: 'write a number: 100, or soft and hard: 100:200',
  bytes: 'write bytes, or a number and K, M or G: 64M, or soft and hard: 64M:1G',
  seconds: 'write whole seconds: 30s, 5m, or soft and hard: 30s:60s',
  microseconds: 'write a time: 200ms, or soft and hard: 200ms:1s',
};

export const rlimitKeys = Object.fromEntries(
  Object.entries(RLIMITS).map(([name, kind]) => [name, valueOf(kind).optional().describe(`${kind.meaning}.`)]),
) as Record<keyof typeof RLIMITS, z.ZodOptional<ReturnType<typeof valueOf>>>;

function valueOf(kind: RlimitKind) {
  return z
    .union([z.int().min(0), z.string()])
    .refine((value) => parseRlimit(kind, value) !== undefined, { error: 'not a limit' })
    .refine((value) => !isSoftAbove(kind, value), { error: 'the soft limit is above the hard one' })
    .register(remedies, { remedy: () => EXAMPLES[kind.unit] });
}

function isSoftAbove(kind: RlimitKind, value: string | number): boolean {
  const limit = parseRlimit(kind, value);
  return limit !== undefined && isAbove(limit.soft, limit.hard);
}
