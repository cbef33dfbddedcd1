/**
 * The JSON Schema (draft-7) that editors check and complete a configuration with.
 */
import { z } from 'zod';
import { SERVICE_NEEDS, configurationSchema, serviceSchema } from './schema';

export function jsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(configurationSchema, {
    target: 'draft-7',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === serviceSchema) jsonSchema.allOf = SERVICE_NEEDS;
    },
  });
  return { $schema, title: 'stdiod configuration', ...rest };
}
