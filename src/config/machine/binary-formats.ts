/**
 * Whether the kernel was taught to run a file that is neither ELF nor a script (binfmt_misc, proc(5)): Java classes, Windows
 * programs, other machines' code.
 */

/** One registered format: a file is of it by its first bytes or by its name. */
export interface BinaryFormat {
  readonly offset: number;
  readonly magic: Buffer;
  /** Which bits of the magic count; empty: all. */
  readonly mask: Buffer;
  /** With its dot; empty: the magic decides. */
  readonly extension: string;
}

/** Of one file in /proc/sys/fs/binfmt_misc; undefined: it is switched off, or not a format. */
export function parseBinaryFormat(text: string): BinaryFormat | undefined {
  if (!text.startsWith('enabled\n') || !text.includes('\ninterpreter ')) return undefined;
  const field = (name: string): string => new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? '';
  return {
    offset: Number(field('offset')),
    magic: Buffer.from(field('magic'), 'hex'),
    mask: Buffer.from(field('mask'), 'hex'),
    extension: field('extension'),
  };
}

export function isOfFormat(path: string, head: Buffer, format: BinaryFormat): boolean {
  if (format.extension !== '') return path.endsWith(format.extension);
  const bytes = head.subarray(format.offset, format.offset + format.magic.length);
  if (bytes.length < format.magic.length || bytes.length === 0) return false;
  return bytes.every((byte, at) => ((byte ^ (format.magic[at] ?? 0)) & (format.mask[at] ?? 0xff)) === 0);
}
