/**
 * For which processor an ELF program was made, whether this machine runs it, and who loads it: what stands in its headers (elf(5)).
 */

/** e_machine. Those that are met in practice; any other is told by its number. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [3, '32-bit x86'],
  [8, 'MIPS'],
  [20, 'PowerPC'],
  [21, '64-bit PowerPC'],
  [22, 'S/390'],
  [40, '32-bit ARM'],
  [62, 'x86-64'],
  [183, 'arm64'],
  [243, 'RISC-V'],
]);

/** By Node's name of the processor. Whether the kernel was built for its 32-bit programs too only the kernel knows. */
const RUNS: Readonly<Record<string, readonly number[]>> = { x64: [62, 3], arm64: [183, 40] };

const CLASS_AT = 4;
const BYTE_ORDER_AT = 5;
const LITTLE = 1;
const MACHINE_AT = 18;

/** @returns the processor that it was made for; null: this one, or it cannot be told */
export function foreignProcessor(head: Buffer, architecture: string): string | null {
  const known = RUNS[architecture];
  if (known === undefined || head.length < MACHINE_AT + 2) return null;
  const isLittle = head[BYTE_ORDER_AT] === LITTLE;
  const number = isLittle ? head.readUInt16LE(MACHINE_AT) : head.readUInt16BE(MACHINE_AT);
  return isLittle && known.includes(number) ? null : (NAMES.get(number) ?? `processor ${number} of elf.h`);
}

/** The kernel starts that in the program's place (PT_INTERP). null: it has none, or it is not in these first bytes of the program. */
export function loaderOf(head: Buffer): string | null {
  if (head.toString('latin1', 0, 4) !== '\u007fELF' || head[BYTE_ORDER_AT] !== LITTLE) return null;
  const layout = head[CLASS_AT] === 2 ? IN_64_BITS : IN_32_BITS;
  const table = numberAt(head, layout.table, layout.bytes);
  const size = numberAt(head, layout.count - 2, 2);
  const count = numberAt(head, layout.count, 2);
  for (let index = 0; index < count; index += 1) {
    const at = table + index * size;
    if (numberAt(head, at, 4) !== LOADER) continue;
    const begin = numberAt(head, at + layout.offset, layout.bytes);
    const [path = ''] = head
      .toString('utf8', begin, begin + numberAt(head, at + layout.length, layout.bytes))
      .split('\0');
    return path === '' ? null : path;
  }
  return null;
}

const LOADER = 3;

/** Where the table of segments is said to be, how many it has (their size comes before), and in each where it is and how long. */
const IN_64_BITS = { bytes: 8, table: 32, count: 56, offset: 8, length: 32 };
const IN_32_BITS = { bytes: 4, table: 28, count: 44, offset: 4, length: 16 };

/** 0: behind the end. */
function numberAt(head: Buffer, at: number, bytes: number): number {
  if (at + bytes > head.length) return 0;
  return bytes === 8 ? Number(head.readBigUInt64LE(at)) : head.readUIntLE(at, bytes);
}
