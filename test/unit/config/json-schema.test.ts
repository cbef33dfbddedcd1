import { parse } from 'yaml';
import { z } from 'zod';
import { jsonSchema } from '../../../src/config/json-schema';
import { withKeys } from './loading';

/** What an editor makes of the schema, by a reader of JSON Schemas that knows nothing of ours. */
function accepts(text: string): boolean {
  return z.fromJSONSchema(jsonSchema() as z.core.JSONSchema.JSONSchema).safeParse(parse(text)).success;
}

test('is a JSON Schema of draft 7 that tells editors what each key means', () => {
  expect(jsonSchema()).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'stdiod configuration',
  });
  expect(JSON.stringify(jsonSchema())).toContain('"description":"Where clients connect');
});

test.each([
  withKeys(''),
  withKeys('listen: [80, "*:http"]\nexec: [cat, -u]\nstderr: null\nsocket: {backlog: 1}\nenv: {A: x}'),
  `include: x\ndefaults: {user: root}\nlimits: {max_connections: 1}\n${withKeys('user: 0')}`,
])('accepts %j', (text) => {
  expect(accepts(text)).toBe(true);
});

test.each([
  withKeys('lisen: 80'),
  withKeys('listen: 70000'),
  withKeys('exec: 5'),
  withKeys('umask: 22'),
  withKeys('stop_grace: 5'),
  'services: {a: {listen: 80}}',
  'services: {"a b": {listen: 80, exec: cat}}',
  'defaults: {exec: cat}',
])('refuses %j', (text) => {
  expect(accepts(text)).toBe(false);
});
