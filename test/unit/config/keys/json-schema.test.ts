import { parse } from 'yaml';
import { z } from 'zod';
import { jsonSchema } from '../../../../src/config/keys/json-schema';
import { onlyKeys, withKeys } from '../loading';

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

test('allows a service no other keys', () => {
  const { properties } = jsonSchema() as { properties: { services: { additionalProperties: object } } };
  expect(properties.services.additionalProperties).toMatchObject({ additionalProperties: false });
});

test.each([
  withKeys(''),
  withKeys('listen: [80, "*:http"]\nexec: [cat, -u]\nstderr: ./x.log\nsocket: {backlog: 1}\nenv: {A: x}'),
  onlyKeys('tcpmux: plus\nexec: cat'),
  onlyKeys('listen: 7/udp\nbuiltin: qotd\nwait: true\namplify: true\nquotes: x'),
  onlyKeys('listen: 7\nredirect: host:80\nsocket: {keepalive: {idle: 5s}, receive_buffer: 64K, mode: "0660"}'),
  `include: x\ndefaults: {user: root}\nlimits: {max_connections: 1}\n${withKeys('user: 0')}`,
])('accepts %j', (text) => {
  expect(accepts(text)).toBe(true);
});

test.each([
  withKeys('socket: {backlg: 1}'),
  withKeys('listen: 70000'),
  withKeys('exec: 5'),
  withKeys('umask: 22'),
  withKeys('stop_grace: 5'),
  'services: {a: {listen: 80}}',
  'services: {a: {exec: cat}}',
  withKeys('exec: cat\nbuiltin: echo'),
  withKeys('builtin: ecko'),
  withKeys('socket: {keepalive: {idle: 5}}'),
  'services: {"a b": {listen: 80, exec: cat}}',
  'defaults: {exec: cat}',
])('refuses %j', (text) => {
  expect(accepts(text)).toBe(false);
});
