/**
 * What to write in place of a wrong value, for kinds of values that people write in other ways. It sits on the kind itself
 * (`values`), so that every key of the kind has it.
 */
import { z } from 'zod';
import type { Path } from '../report/path';
import { schemaAt, unwrapped } from './schema-at';

export const remedies = z.registry<{ readonly remedy: Remedy }>();

/** @param written the value as the file writes it */
type Remedy = (value: unknown, written: string) => string | null;

/** null: the kind of value at the path has none. */
export function remedyAt(schema: z.core.$ZodType, path: Path, value: unknown, written: string): string | null {
  const kinds = unwrapped(schemaAt(schema, path));
  const found = kinds.map((kind) => remedies.get(kind)).find((each) => each !== undefined);
  return found === undefined ? null : found.remedy(value, written);
}
