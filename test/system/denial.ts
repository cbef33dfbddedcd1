/**
 * System calls of a daemon that fail when a test says so: those of steps of test/fixtures/deny-syscall.c, one step at a time.
 */
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fixture, makeFolder } from './fixtures';

export type Errno = keyof typeof constants.errno;

export interface Extent {
  /** How often the call fails; absent: until `allow`. */
  readonly times?: number;
  /** How often it passes before that. */
  readonly skip?: number;
  /** Only with this descriptor as its first argument. */
  readonly fd?: number;
  /** Of the steps, where there are several; absent: the first. */
  readonly step?: string;
}

export class Denial {
  /** For `DaemonOptions`. */
  readonly wrapper: readonly string[];
  readonly #file = join(makeFolder(), 'denial');
  readonly #steps: readonly string[];
  #serial = 0;

  constructor(...steps: readonly string[]) {
    this.#steps = steps;
    this.wrapper = [fixture('deny-syscall.c'), steps.join(','), this.#file];
  }

  /** From now on, in place of what was said before. @param error null: the call comes late */
  deny(error: Errno | null, { times = 0, skip = 0, fd = -1, step }: Extent = {}): void {
    this.#serial += 1;
    const which = step === undefined ? 0 : this.#steps.indexOf(step);
    const number = error === null ? 0 : constants.errno[error];
    writeFileSync(`${this.#file}.new`, [this.#serial, number, skip, times, fd, which].join(' '));
    renameSync(`${this.#file}.new`, this.#file);
  }

  allow(): void {
    rmSync(this.#file, { force: true });
  }

  /** How many calls have failed. */
  get count(): number {
    return statSync(`${this.#file}.denied`, { throwIfNoEntry: false })?.size ?? 0;
  }
}
