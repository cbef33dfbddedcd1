/**
 * The filter that denies system calls to a program (seccomp(2)), compiled once for a service: classic BPF, which the kernel runs for
 * each of its calls, or looks up where the answer depends on the number alone.
 */
import { numbersOf, type Architecture, type CallGroup } from '../service/system-calls';

/** Words of 32 bits, as the kernel has `struct sock_filter` in memory: two for each instruction. */
export type Filter = readonly number[];

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where to go when the comparison holds; absent: on. */
  readonly yes?: Answer | 'flags';
  /** And when it does not. */
  readonly no?: Answer;
}

/** linux/bpf_common.h */
const [LOAD, EQUAL, AT_LEAST, HAS_BIT, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06];
/** struct seccomp_data of linux/seccomp.h; the lower half of the first argument. */
const [NUMBER, ARCHITECTURE, FIRST_ARGUMENT] = [0, 4, 16];

/** linux/audit.h, and the number of clone(2). */
const KERNEL: Readonly<Record<Architecture, { readonly audit: number; readonly clone: number }>> = {
  x64: { audit: 0xc000_003e, clone: 56 },
  arm64: { audit: 0xc000_00b7, clone: 220 },
};
const CLONE3 = 435;
/** From here up a call of x86-64 is one of x32, under the same name of the architecture. */
const FIRST_OF_X32 = 0x4000_0000;

/**
 * allow: it is made. deny: EPERM. absent: ENOSYS, as on a kernel without it, where libraries know another way. kill: programs of another
 * architecture have other numbers; none of them runs (SIGSYS).
 */
const ANSWERS = { allow: 0x7fff_0000, deny: 0x0005_0001, absent: 0x0005_0026, kill: 0x8000_0000 } as const;
type Answer = keyof typeof ANSWERS;

/** @throws Error: this machine has another architecture; there the child could not be built either */
export function filterOf(groups: readonly CallGroup[], architecture: string = process.arch): Filter {
  if (architecture !== 'x64' && architecture !== 'arm64')
    throw new Error(`no system calls are known of ${architecture}`);
  const { audit, clone } = KERNEL[architecture];
  const { numbers, cloneFlags } = numbersOf(groups, architecture);
  const head: Instruction[] = [
    { code: LOAD, k: ARCHITECTURE },
    { code: EQUAL, k: audit, no: 'kill' },
    { code: LOAD, k: NUMBER },
    ...(architecture === 'x64' ? [{ code: AT_LEAST, k: FIRST_OF_X32, yes: 'deny' } as const] : []),
    ...numbers.map((number): Instruction => ({ code: EQUAL, k: number, yes: 'deny' })),
  ];
  const ofClone: Instruction[] = [
    { code: EQUAL, k: CLONE3, yes: 'absent' },
    { code: EQUAL, k: clone, yes: 'flags' },
  ];
  const flags: Instruction[] = [
    { code: LOAD, k: FIRST_ARGUMENT },
    { code: HAS_BIT, k: cloneFlags, yes: 'deny', no: 'allow' },
  ];
  const allow: Instruction = { code: RETURN, k: ANSWERS.allow };
  return assemble(cloneFlags === 0 ? [...head, allow] : [...head, ...ofClone, allow, ...flags], flags.length);
}

/** The answers stand at the end. @param flagsLength of the part before them that looks at flags */
function assemble(body: readonly Instruction[], flagsLength: number): Filter {
  const names = Object.keys(ANSWERS) as readonly Answer[];
  const distance = (from: number, target: Instruction['yes']): number => {
    if (target === undefined) return 0;
    const to = target === 'flags' ? body.length - flagsLength : body.length + names.indexOf(target);
    return jump(to - from - 1);
  };
  const lines = [...body, ...names.map((name): Instruction => ({ code: RETURN, k: ANSWERS[name] }))];
  return lines.flatMap(({ code, k, yes, no }, at) => {
    return [(code | (distance(at, yes) << 16) | (distance(at, no) << 24)) >>> 0, k];
  });
}

/** A byte in the instruction. */
function jump(length: number): number {
  if (length > 0xff) throw new Error(`a filter of seccomp(2) cannot jump over ${length} instructions`);
  return length;
}
