/**
 * What the schema says of the value at a path.
 */
import { z } from 'zod';
import type { Path } from '../report/path';

type Schema = z.core.$ZodType;

/** undefined: the schema says nothing of it. */
export function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let inner: Schema | undefined = schema;
  for (const step of path) inner = within(unwrapped(inner).at(-1), step);
  return inner;
}

/** The schema, and what is in it without the wrappers that give a default or allow nothing. */
export function unwrapped(schema: Schema | undefined): readonly Schema[] {
  if (schema === undefined) return [];
  return isWrapper(schema) ? [schema, ...unwrapped(schema.unwrap())] : [schema];
}

function isWrapper(schema: Schema): schema is z.ZodOptional | z.ZodDefault | z.ZodPrefault {
  return [z.ZodOptional, z.ZodDefault, z.ZodPrefault].some((wrapper) => schema instanceof wrapper);
}

/** Of a union the branch that has values inside. */
function within(schema: Schema | undefined, step: string | number): Schema | undefined {
  if (schema instanceof z.ZodObject) return (schema.shape as z.core.$ZodShape)[step];
  if (schema instanceof z.ZodRecord) return schema.valueType;
  if (schema instanceof z.ZodArray) return schema.element;
  if (!(schema instanceof z.ZodUnion)) return undefined;
  const found = schema.options.map((option) => within(option, step));
  return found.find((each) => each !== undefined);
}
