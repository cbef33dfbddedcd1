/**
 * `credentials`: what is read, and what keeps stdiod from giving it to a service alone.
 */
import { chmodSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load, problemsOf, processOf, service, withKeys } from '../loading';
import { asAlice } from '../pretend-machine';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  writeFileSync(join(folder, 'a'), 'abc');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function problemsWith(keys: string, changes = {}): string[] {
  return problemsOf(withKeys(keys), changes);
}

test('what the files hold is kept, and only where they are is printed', () => {
  const text = withKeys(`credentials: {token: ${folder}/a}`);
  const { configuration, effective } = load(text);
  const [found] = configuration.services;
  if (found === undefined) throw new Error('there is no service');
  expect(processOf(found).credentials).toEqual({
    place: 'mount',
    uid: 65534,
    gid: 65534,
    files: [{ name: 'token', contents: Buffer.from('abc').toString('base64') }],
  });
  expect(effective.services['a']).toMatchObject({ credentials: { token: `${folder}/a` } });
  expect(processOf(service(withKeys(''))).credentials).toBeNull();
});

test('without the right to mount it is for the own user alone', () => {
  const keys = `credentials: {token: ${folder}/a}`;
  expect(processOf(service(withKeys(keys), asAlice)).credentials).toMatchObject({ place: 'folder', uid: 1000 });
  expect(problemsWith(`${keys}\nuser: nobody`, { hasCapability: () => false }).join()).toContain(
    'stdiod lacks CAP_SYS_ADMIN, which this takes for another user than its own',
  );
});

test('what cannot be read is told at its place', () => {
  mkdirSync(join(folder, 'b'));
  expect(problemsWith(`credentials: {token: ${folder}/none}`)).toEqual([
    expect.stringMatching(/^\d+:\d+ services.a.credentials.token: .*\/none does not exist/),
  ]);
  expect(problemsWith(`credentials: {token: ${folder}/b}`).join()).toContain('is no file (name a file)');
  expect(problemsWith('credentials: {../x: /etc/passwd}').join()).toContain('not the name of a file');
  expect(problemsWith('credentials: ["token:/etc/x"]').join()).toContain('write a map: {token: /etc/x}');
});

test('all of a service together are bounded', () => {
  writeFileSync(join(folder, 'half'), 'x'.repeat(512 * 1024));
  const two = `one: ${folder}/half, two: ${folder}/half`;
  expect(problemsWith(`credentials: {${two}}`)).toEqual([]);
  expect(problemsWith(`credentials: {${two}, three: ${folder}/a}`).join()).toContain(
    `with ${folder}/a they are more than 1048576 bytes`,
  );
});

test('root reads nothing that others could put a link in the place of', () => {
  const keys = `credentials: {token: ${folder}/a}`;
  chmodSync(folder, 0o777);
  expect(problemsWith(keys).join()).toContain('everybody may put another file in its place');
  expect(problemsWith(keys, asAlice)).toEqual([]);
  chmodSync(folder, 0o755);
  symlinkSync(join(folder, 'a'), join(folder, 'link'));
  expect(problemsWith(`credentials: {token: ${folder}/link}`)).toEqual([]);
  if (process.getuid?.() !== 0) return;
  lchownSync(join(folder, 'link'), 1000, 1000);
  expect(problemsWith(`credentials: {token: ${folder}/link}`).join()).toContain(
    "user 1000 may put a link to any file of root's in its place",
  );
});

test('what is hidden from the program, and who has no use for it, is told', () => {
  const keys = `credentials: {token: ${folder}/a}`;
  expect(problemsWith(`${keys}\nhidden: [/run]`).join()).toContain('take /run from "hidden"');
  expect(problemsWith(`${keys}\nbuiltin: echo`).join()).toContain('"credentials" has no meaning with "builtin"');
  expect(problemsWith(`${keys}\nredirect: 127.0.0.1:9`).join()).toContain(
    '"credentials" has no meaning with "redirect"',
  );
  const text = `defaults: {${keys}}\n${withKeys('builtin: echo')}`;
  expect(processOf(service(text)).credentials).toBeNull();
  expect(load(text).effective.services['a']).not.toHaveProperty('credentials');
});
