/**
 * For which processor an ELF program was made, and whether this machine runs it: what stands in its header (elf(5)).
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
