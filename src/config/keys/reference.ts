/**
 * The table of keys in docs/configuration.md, from the schema, so that the page cannot tell something else.
 * `npm run docs` writes it into the page; a unit test fails while the page is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { configurationSchema, defaultsSchema, serviceSchema } from './schema';

const BEGIN = '<!-- keys: generated from the schema by "npm run docs" -->';
const END = '<!-- end of keys -->';

/** The page with its table brought up to date. Throws when the page has no markers. */
export function refreshReference(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page has no "${BEGIN}" … "${END}"`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${renderReference()}\n\n${page.slice(end)}`;
}

export function renderReference(): string {
  const top = configurationSchema.omit({ services: true, defaults: true });
  const places = `Keys of \`defaults\`: all of these but ${difference().map(code).join(', ')}.`;
  return [
    '### A service',
    table(rowsOf(jsonSchemaOf(serviceSchema))),
    places,
    '### The top of the file',
    table([...describeMaps(), ...rowsOf(jsonSchemaOf(top))]),
  ].join('\n\n');
}

/** What we read of a JSON Schema. */
interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
}

type Row = readonly [key: string, value: string, standard: string, meaning: string];

function difference(): string[] {
  return Object.keys(serviceSchema.shape).filter((key) => !(key in defaultsSchema.shape));
}

function jsonSchemaOf(schema: z.ZodType): Node {
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) as Node;
}

function describeMaps(): Row[] {
  const { services, defaults } = configurationSchema.shape;
  return [
    ['services', 'map of names to services', '', services.description ?? ''],
    ['defaults', 'map', '', defaults.description ?? ''],
  ];
}

function rowsOf(node: Node, prefix = '', meaning = ''): Row[] {
  const rows: Row[] = meaning === '' ? [] : [[prefix.slice(0, -1), 'map', '', meaning]];
  for (const [key, inner] of Object.entries(node.properties ?? {})) {
    const isRequired = node.required?.includes(key) ?? false;
    const map = inner.anyOf?.find(({ properties }) => properties !== undefined);
    if (inner.properties === undefined) rows.push(rowOf(prefix + key, inner, isRequired));
    else rows.push(...rowsOf(inner, `${prefix}${key}.`, inner.description));
    if (map !== undefined) rows.push(...rowsOf(map, `${prefix}${key}.`));
  }
  return rows;
}

function rowOf(key: string, node: Node, isRequired: boolean): Row {
  const standard = node.default === undefined ? '' : code(JSON.stringify(node.default).replace(/^"([a-z]\w*)"$/, '$1'));
  return [key, typeOf(node), isRequired ? 'required' : standard, node.description ?? ''];
}

function typeOf(node: Node): string {
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join(' or ');
  if (node.enum !== undefined) return node.enum.map((value) => code(String(value))).join(' or ');
  if (node.type === 'array') return `list of (${typeOf(node.items ?? {})})`.replace(/\(([^ ]+)\)/, '$1');
  if (node.type === 'integer') return `number ${node.minimum ?? ''}–${node.maximum ?? ''}`;
  if (node.type === 'boolean') return '`true` or `false`';
  return node.type === 'object' ? 'map' : (node.type ?? '');
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(([key, ...rest]) => [code(key), ...rest.map((text) => text.replaceAll('|', '\\|'))]);
  const head = ['Key', 'Value', 'Default', 'Meaning'];
  const widths = head.map((title, column) => Math.max(...[head, ...cells].map((row) => (row[column] ?? title).length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

if (require.main === module) {
  const file = process.argv[2] ?? 'docs/configuration.md';
  writeFileSync(file, refreshReference(readFileSync(file, 'utf8')));
}
