/**
 * Who imports whom in src, read from the text of the files. An import of types alone counts like any other.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(__dirname, '../../../..');

export interface Import {
  readonly file: string;
  /** Of src as well: a file that is imported by its path. */
  readonly imported: string;
}

/** The TypeScript files below a folder, by their paths from the root of the project. */
export function filesIn(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return entries.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
}

export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Everything that the file names after `from`, or hands to `import()` or `require()`. */
export function specifiersIn(file: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)['"]([^'"]+)['"]/g;
  return [...textOf(file).matchAll(pattern)].map(([, specifier]) => specifier ?? '');
}

export function importsIn(file: string): Import[] {
  const local = specifiersIn(file).filter((specifier) => specifier.startsWith('.'));
  return local.map((specifier) => ({ file, imported: `${join(dirname(file), specifier.replace(/\.js$/, ''))}.ts` }));
}
