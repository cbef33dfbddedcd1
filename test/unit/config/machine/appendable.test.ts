/**
 * Whether a file for standard error can be had, on real files of which a pretended kernel says who may write them.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNotAppendable } from '../../../../src/config/machine/appendable';
import type { Machine } from '../../../../src/config/machine/machine';
import { pretendMachine } from '../pretend-machine';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stdiod-')));
mkdirSync(join(folder, 'closed'));
writeFileSync(join(folder, 'log'), '');
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const ALICE = { user: 'alice', uid: 1000, gid: 1000, groups: [] };

/** As far as the folders on the way are concerned, everybody may enter. */
function why(path: string, changes: Partial<Machine> = {}, identity: typeof ALICE | null = ALICE): string | null {
  const machine = pretendMachine({ whyNotExecutable: () => null, ...changes });
  const problem = whyNotAppendable(join(folder, path), identity, machine);
  if (problem === null) return null;
  return `${problem.message} (${problem.remedy ?? '-'})`.replaceAll(folder, 'FOLDER');
}

const refuse = { whyNotWritable: (): string => 'EACCES' };

test('a file that may be written to can be had, and one that can be made', () => {
  expect([why('log'), why('new'), why('log', {}, null)]).toEqual([null, null, null]);
});

test.each([
  ['closed', {}, 'FOLDER/closed is a folder (name a file in it)'],
  ['no/such', {}, 'the folder FOLDER/no does not exist (mkdir -p FOLDER/no)'],
  ['log/x', {}, 'FOLDER/log/x does not exist (correct the path)'],
  ['log', refuse, 'user alice may not write to FOLDER/log (EACCES) (chown alice FOLDER/log)'],
  ['new', refuse, 'user alice may not create FOLDER/new (EACCES) (install -o alice -m 640 /dev/null FOLDER/new)'],
  ['log', { whyNotWritable: () => 'EROFS' }, 'user alice may not write to FOLDER/log (EROFS) (-)'],
  ['log', { whyNotWritable: () => 'EAGAIN' }, 'whether user alice may use FOLDER/log cannot be told now: EAGAIN (-)'],
  [
    'closed/x',
    { whyNotExecutable: (path) => (path.endsWith('closed') ? 'EACCES' : null) },
    'user alice cannot reach FOLDER/closed/x: the folder FOLDER/closed is closed to it (EACCES) ' +
      '(chmod o+x FOLDER/closed, move what is needed elsewhere, or choose another "user")',
  ],
] as [string, Partial<Machine>, string][])(
  '%s cannot be had: it is told why, and what to do',
  (path, changes, problem) => {
    expect(why(path, changes)).toBe(problem);
  },
);

test('stdiod itself has no other user to give it to', () => {
  expect(why('new', refuse, null)).toBe(
    'stdiod may not create FOLDER/new (EACCES) (choose a file in a folder of its own)',
  );
});
