/**
 * How a Unix socket is named: by a path, or by `@name` in the abstract namespace (unix(7)).
 */
import { Malformed, type TextFault, quote } from './malformed';

/** sun_path has 108 bytes: a path ends with a NUL there, an abstract name begins with one. */
const MOST_BYTES = 107;

/** A path stays as it is written, relative or not. @throws Malformed */
export function parseUnixName(name: string, scheme: string): string {
  if (name === '' || name === '@') {
    throw new Malformed(
      `${quote(`${scheme}:${name}`)} names no socket`,
      `write ${scheme}:/run/NAME or ${scheme}:@NAME`,
    );
  }
  if (name.includes('\0')) throw new Malformed('the name of a socket cannot hold a NUL character', null);
  if (/\p{Cs}/u.test(name)) throw new Malformed('half of a surrogate pair cannot be written as UTF-8', null);
  if (name.startsWith('~')) throw new Malformed('no shell reads the path: "~" stays as it is', 'write the full path');
  return name;
}

/** Of an absolute path, or of `@name`: what the kernel has no room for. */
export function whyTooLong(path: string): TextFault | null {
  const isAbstract = isAbstractName(path);
  const count = Buffer.byteLength(path) - (isAbstract ? 1 : 0);
  if (count <= MOST_BYTES) return null;
  const what = isAbstract ? 'the abstract name' : `the path ${quote(path)}`;
  const remedy = isAbstract ? 'shorten it' : 'choose a shorter path, such as one in /run';
  return { message: `${what} has ${count} bytes, and the kernel has room for ${MOST_BYTES}`, remedy };
}

export function isAbstractName(path: string): boolean {
  return path.startsWith('@');
}
