/**
 * The audit of native/child.cc: code that runs beside live JavaScript in the same memory may call nothing (libc would
 * write errno or take a lock) and own nothing that can be written to.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from './fresh-process';
import { tool, testWith } from './needs';

const OBJECT = join(PROJECT, 'build/Release/obj.target/child/native/child.o');
const testWithNm = testWith(tool('nm'));

function symbols(...options: string[]): string[] {
  return execFileSync('nm', [...options, OBJECT], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
}

testWithNm('the child needs no symbol from outside: no libc, no C++ runtime, no sanitizer', () => {
  expect(symbols('--undefined-only')).toEqual([]);
  return Promise.resolve();
});

testWithNm('the child has no global variable', () => {
  const variables = symbols('--defined-only').filter((line) => /^\S* *[bBcCdDgGsSuvV] /.test(line));
  expect(variables).toEqual([]);
  return Promise.resolve();
});

testWithNm('the child offers its entry point and nothing else', () => {
  const names = symbols('--extern-only', '--defined-only').map((line) => line.split(' ').pop());
  expect(names).toEqual(['child_main']);
  return Promise.resolve();
});
