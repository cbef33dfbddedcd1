/**
 * The filter that denies system calls to a program (seccomp(2)), compiled once for a service: classic BPF, which the kernel runs for
 * each of its calls, or looks up where the answer depends on the number alone.
 */
import {
  numbersOf,
  type Architecture,
  type CallGroup,
  type Condition,
  type DeniedPartly,
} from '../service/system-calls';

/** Words of 32 bits, as the kernel has `struct sock_filter` in memory: two for each instruction. */
export type Filter = readonly number[];

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where to go when the comparison holds; absent: on. */
  readonly yes?: Target;
  /** And when it does not. */
  readonly no?: Target;
  /** By which others go here. */
  readonly label?: Label;
}

type Target = Answer | Label;
/** Where the arguments of the call with that number are looked at, and which case of it. */
type Label = `${number}/${number}`;

/** linux/bpf_common.h */
const [LOAD, EQUAL, AT_LEAST, HAS_BIT, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06];
/** struct seccomp_data of linux/seccomp.h; of an argument the lower half. */
const [NUMBER, ARCHITECTURE, FIRST_ARGUMENT, ARGUMENT_BYTES] = [0, 4, 16, 8];

/** linux/audit.h */
const AUDIT: Readonly<Record<Architecture, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
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
  const { numbers, partly, absent } = numbersOf(groups, architecture);
  return assemble([
    { code: LOAD, k: ARCHITECTURE },
    { code: EQUAL, k: AUDIT[architecture], no: 'kill' },
    { code: LOAD, k: NUMBER },
    ...(architecture === 'x64' ? [{ code: AT_LEAST, k: FIRST_OF_X32, yes: 'deny' } as const] : []),
    ...numbers.map((number): Instruction => ({ code: EQUAL, k: number, yes: 'deny' })),
    ...absent.map((number): Instruction => ({ code: EQUAL, k: number, yes: 'absent' })),
    ...partly.map(({ number }): Instruction => ({ code: EQUAL, k: number, yes: `${number}/0` })),
    { code: RETURN, k: ANSWERS.allow },
    ...partly.flatMap(lookAtArguments),
  ]);
}

function lookAtArguments({ number, cases }: DeniedPartly): Instruction[] {
  return cases.flatMap((conditions, index) => {
    const otherwise: Target = index + 1 < cases.length ? `${number}/${index + 1}` : 'allow';
    const lines = conditions.flatMap((condition) => linesFor(condition, otherwise));
    const all: Instruction[] = [...lines, { code: RETURN, k: ANSWERS.deny }];
    return all.map((each, at) => (at === 0 ? { ...each, label: `${number}/${index}` as const } : each));
  });
}

function linesFor(condition: Condition, otherwise: Target): Instruction[] {
  const load = { code: LOAD, k: FIRST_ARGUMENT + ARGUMENT_BYTES * condition.argument };
  if ('has' in condition) return [load, { code: HAS_BIT, k: condition.has, no: otherwise }];
  return [load, ...condition.isNot.map((value): Instruction => ({ code: EQUAL, k: value, yes: otherwise }))];
}

/** The answers stand at the end. */
function assemble(body: readonly Instruction[]): Filter {
  const names = Object.keys(ANSWERS) as readonly Answer[];
  const places = new Map<Target, number>(names.map((name, at) => [name, body.length + at]));
  for (const [at, { label }] of body.entries()) if (label !== undefined) places.set(label, at);
  const distance = (from: number, target: Target | undefined): number =>
    target === undefined ? 0 : jump((places.get(target) ?? NaN) - from - 1);
  const lines = [...body, ...names.map((name): Instruction => ({ code: RETURN, k: ANSWERS[name] }))];
  return lines.flatMap(({ code, k, yes, no }, at) => {
    return [(code | (distance(at, yes) << 16) | (distance(at, no) << 24)) >>> 0, k];
  });
}

/** A byte in the instruction. */
function jump(length: number): number {
  if (length >= 0 && length <= 0xff) return length;
  throw new Error(`a filter of seccomp(2) cannot jump over ${length} instructions`);
}
