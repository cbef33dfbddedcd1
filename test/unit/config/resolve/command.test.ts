import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unescapeTemplate } from '../../../../src/service/template';
import type { Machine } from '../../../../src/config/machine/machine';
import { DEFAULT_PATH } from '../../../../src/config/resolve/environment';
import { commandOf, load, problemsOf, processOf, service, withKeys } from '../loading';

/** Everybody may enter it: the tests speak of what stands in it. */
const folder = mkdtempSync(join(tmpdir(), 'stdiod-command-'));
chmodSync(folder, 0o755);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const file = join(folder, 'services.yaml');

function make(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function problemWith(exec: string, more = ''): string {
  return problemsOf(withKeys(`exec: ${exec}${more}`), {}, file).join('\n');
}

const script = make('bin/script', '#!/bin/sh\n');

test('splits a string with shell quoting', () => {
  expect(commandOf(service(withKeys(`exec: tr 'a b' "c d"`))).argv).toEqual(['tr', 'a b', 'c d']);
});

test('takes a list as it is', () => {
  expect(commandOf(service(withKeys('exec: [sh, -c, "cat | sort; echo $HOME", ""]'))).argv).toEqual([
    'sh',
    '-c',
    'cat | sort; echo $HOME',
    '',
  ]);
});

test('starts a word with a slash from the file that names it, and tells the program the word as written', () => {
  expect(commandOf(service(withKeys('exec: bin/script x'), {}, file))).toEqual({
    path: script,
    argv: ['bin/script', 'x'],
  });
  expect(commandOf(service(withKeys('exec: ./bin/../bin/script'), {}, file)).path).toBe(script);
});

test('tells the program the name that argv0 gives', () => {
  expect(commandOf(service(withKeys('exec: bin/script x\nargv0: /a/b'), {}, file)).argv).toEqual(['/a/b', 'x']);
});

describe('a bare name', () => {
  const path = join(folder, 'bin');
  make('bin/app', '#!/bin/sh\n');
  make('bin/language', '#!/bin/sh\n');
  const caller = { environment: { PATH: `/nowhere:${path}` } };

  test('is looked up in the PATH that the program itself will have', () => {
    const found = join(path, 'app');
    expect(commandOf(service(withKeys(`exec: app\nenv: {PATH: "/nowhere:relative::${path}"}`))).path).toBe(found);
    expect(commandOf(service(withKeys('exec: app\npass_env: [PATH]'), caller)).path).toBe(found);
    const both = `exec: app\npass_env: [PATH]\nenv: {PATH: ${path}}`;
    expect(commandOf(service(withKeys(both), { environment: { PATH: '/no' } })).path).toBe(found);
    expect(commandOf(service(withKeys('exec: cat'), { environment: { PATH: '/nowhere' } })).path).toMatch(/^\/.*cat$/);
  });

  test('that stdiod alone would find is told, with both ways out', () => {
    const message = `there is no program "app" in ${DEFAULT_PATH}`;
    expect(problemsOf(withKeys('exec: app'), caller)).toEqual([
      `3:11 services.a.exec: ${message} (stdiod's own PATH has ${path}/app: write that, or add "pass_env: [PATH]")`,
    ]);
    expect(problemsOf(withKeys('exec: app\nenv: {PATH: /usr/bin}'), caller).join()).toContain(
      `write that, or add its folder to PATH in "env")`,
    );
  });

  test('that is closed to the user where stdiod would find it has to be installed', () => {
    const closed = { ...caller, whyNotExecutable: (each: string) => (each.startsWith(path) ? 'EACCES' : null) };
    expect(problemsOf(withKeys('exec: app'), closed).join()).toContain(
      `(install it for everybody: user nobody cannot reach ${path}/app: the folder ${path} is closed to it (EACCES))`,
    );
  });

  test('after env in a "#!" line is looked up in the same place', () => {
    make('by-env', '#!/usr/bin/env language\n');
    expect(problemsOf(withKeys('exec: ./by-env'), caller, file).join()).toContain(
      `env does not find "language" in ${DEFAULT_PATH} (stdiod's own PATH has ${path}/language: write that, or add`,
    );
    expect(problemsOf(withKeys('exec: ./by-env\npass_env: [PATH]'), caller, file)).toEqual([]);
  });

  test('with a blank in it is a command line, and for a shell', () => {
    expect(problemWith('["tr a-z A-Z | rev"]')).toContain(
      "(no program's name has a blank: give each word by itself, or all of them to a shell: sh -c '…')",
    );
  });
});

test('passes by what the user may not execute, as execvp does', () => {
  make('first/script', '#!/bin/sh\n', 0o700);
  make('second/script/x', '');
  const path = `${folder}/first:${folder}/second:${folder}/bin`;
  expect(commandOf(service(withKeys(`exec: script\nenv: {PATH: "${path}"}`))).path).toBe(script);
  expect(commandOf(service(withKeys(`exec: script\nuser: root\nenv: {PATH: "${path}"}`))).path).toBe(
    `${folder}/first/script`,
  );
});

test.each([
  ['nosuch', '3:11 services.a.exec: there is no program "nosuch" in /usr/local/sbin:/usr/local/bin:'],
  ['bin/nosuch', `${folder}/bin/nosuch does not exist (correct the path)`],
  ['./bin', `${folder}/bin is a folder`],
  ['/dev/null', '/dev/null is not a regular file'],
  ['bin/script/x', `${folder}/bin/script/x does not exist`],
  ['""', 'the command is empty'],
  ['"\'\' x"', 'the command is empty'],
  ['["", x]', '3:12 services.a.exec[0]: the command is empty'],
  ['~/bin/x', 'no shell reads the command: "~" stays as it is (write the full path)'],
  ['A=1 cat', '"A=…" is not a program (set the variable in "env": {A: "1"})'],
])('refuses exec: %s', (exec, expected) => {
  expect(problemWith(exec)).toContain(expected);
});

test.each([
  [`echo 'abc`, `3:16 services.a.exec: the quote ' is not closed (close it, or write \\' for the character)`],
  [`echo a"b`, `3:17 services.a.exec: the quote " is not closed`],
  [`"echo 'abc"`, `3:17 services.a.exec: the quote ' is not closed`],
  ['echo x\\', '3:17 services.a.exec: a backslash ends the command'],
])('points at the quote of %s', (exec, expected) => {
  expect(problemWith(exec)).toContain(expected);
});

test.each([
  ['cat | sort', '3:15 services.a.exec: no shell reads the command: | would be an ordinary character'],
  ['cat > /tmp/x', '3:15'],
  ['cat; date', '3:14'],
  ['echo $HOME', '3:16'],
  ['echo `date`', '3:16'],
  ['"cat | sort"', '3:16'],
  [`'it''s | x'`, '3:11'],
  ['|\n  cat | sort', '3:11'],
])('does not let %j pass for a shell command', (exec, place) => {
  expect(problemWith(exec)).toContain(place);
});

test('writes the list that a shell command needs', () => {
  expect(problemWith('cat | sort')).toContain(
    'for a shell write ["sh", "-c", "cat | sort"]; for the character quote it',
  );
});

test('gives the chmod line for what is not executable', () => {
  make('plain', '#!/bin/sh\n', 0o644);
  make("it's plain", '#!/bin/sh\n', 0o644);
  expect(problemWith('./plain')).toContain(`${folder}/plain is not executable (chmod +x ${folder}/plain)`);
  expect(problemWith(`["./it's plain"]`)).toContain(`(chmod +x '${folder}/it'\\''s plain')`);
});

test('names the user and the first folder that is closed to it', () => {
  make('closed/deep/script', '#!/bin/sh\n');
  chmodSync(join(folder, 'closed'), 0o700);
  symlinkSync(join(folder, 'closed/deep/script'), join(folder, 'link'));
  const expected = `the folder ${folder}/closed is closed to it (EACCES) (chmod o+x ${folder}/closed,`;
  const asKernel = { whyNotExecutable: (path: string): string | null => (path.includes('/closed') ? 'EACCES' : null) };
  const problem = problemsOf(withKeys('exec: closed/deep/script'), asKernel, file).join();
  expect(problem).toContain(`user nobody cannot reach ${folder}/closed/deep/script: ${expected}`);
  expect(problemsOf(withKeys('exec: ./link'), { whyNotExecutable: linkIsClosed }, file).join()).toContain(expected);
});

function linkIsClosed(path: string): string | null {
  return path.includes('/closed') || path.endsWith('/link') ? 'EACCES' : null;
}

test.each(['/root', '/home/alice'])('does not advise to open the home %s', (home) => {
  const changes: Partial<Machine> = {
    file: () => ({ kind: 'file', mode: 0o755 }),
    whyNotExecutable: (path) => (path.startsWith(home) ? 'EACCES' : null),
  };
  expect(problemsOf(withKeys(`exec: ${home}/x/app`), changes).join()).toContain(
    `the folder ${home} is closed to it (EACCES) (move what is needed out of ${home} (to /srv or /opt), or choose`,
  );
});

test('gives no chmod +x alone where only others lack the right', () => {
  make('private', '#!/bin/sh\n', 0o700);
  expect(problemWith('./private')).toContain(`user nobody may not execute ${folder}/private (EACCES)`);
  expect(problemWith('./private', '\nuser: root')).toBe('');
});

test.each([
  ['no-interpreter', '#!/no/such/sh\n', 'the interpreter of FILE: /no/such/sh does not exist'],
  ['relative', '#!python3\n', 'is not an absolute path: "python3" (write #!/usr/bin/env python3)'],
  ['empty-line', '#! \n', 'has an empty "#!" line'],
  [
    'crlf',
    '#!/bin/sh\r\necho\r\n',
    `FILE has Windows line ends (CRLF): the kernel looks for an interpreter "/bin/sh\\r" (sed -i 's/\\r$//' FILE)`,
  ],
  ['env', '#!/usr/bin/env no-such-language\n', `env does not find "no-such-language" in ${DEFAULT_PATH}`],
  ['text', 'echo hello\n', 'FILE is neither an ELF program nor a script with a "#!" line'],
  ['empty', '', 'FILE is empty'],
])('refuses a program with %s', (name, text, expected) => {
  const path = make(name, text);
  expect(problemWith(`./${name}`)).toContain(expected.replaceAll('FILE', path));
});

test('follows interpreters that are scripts, but not in a circle', () => {
  const circle = join(folder, 'circle');
  make('circle', `#!${circle}\n`);
  make('outer', `#!${script}\n`);
  expect(problemWith('./outer')).toBe('');
  expect(problemWith('./circle')).toContain('too long a chain of interpreters');
});

test('accepts ELF programs and scripts with options, env -S and all', () => {
  copyFileSync('/bin/cat', join(folder, 'elf'));
  chmodSync(join(folder, 'elf'), 0o755);
  make('options', '#! /bin/sh -eu\n');
  make('split', '#!/usr/bin/env -S no-such -x\n');
  for (const name of ['elf', 'options', 'split']) expect(problemWith(`./${name}`)).toBe('');
});

describe('an ELF program that was made for another processor', () => {
  const S390 = Buffer.from('7f454c46020201' + '00'.repeat(9) + '00020016', 'hex').toString('latin1');

  test('is refused', () => {
    const path = make('foreign', S390);
    expect(problemWith('./foreign')).toContain(
      `${path} was made for another processor: S/390, and this is ${process.arch}`,
    );
  });

  test('is accepted where the kernel was taught to run it', () => {
    make('foreign', S390);
    const magic = Buffer.from('7f454c46', 'hex');
    const format = { offset: 0, magic, mask: Buffer.alloc(0), extension: '' };
    expect(problemsOf(withKeys('exec: ./foreign'), { binaryFormats: () => [format] }, file)).toEqual([]);
  });
});

test('refuses a command that is too long for the kernel with its environment, and shows the longest part', () => {
  const words = Array.from({ length: 20 }, () => 'x'.repeat(100_000));
  const command = `exec: [cat, ${words.join(', ')}]`;
  expect(problemsOf(withKeys(command))).toEqual([]);
  const [problem] = problemsOf(withKeys(`${command}\nenv: {LONG: ${'y'.repeat(110_000)}}`));
  expect(problem).toMatch(/^\d+:\d+ services\.a\.env\.LONG: the command with its environment has 21\d{5} bytes, /);
});

test('asks nothing of a disabled service’s program, user and folder, but still reads its text', () => {
  const keys = 'enabled: false\nexec: /no/such --x\nuser: nosuch\ndirectory: /no/where\nlisten: 7';
  expect(commandOf(service(withKeys(keys)))).toEqual({ path: '/no/such', argv: ['/no/such', '--x'] });
  expect(problemsOf(withKeys("enabled: false\nexec: no 'such"))).toHaveLength(1);
});

describe('directory', () => {
  test('starts from the file, and has to be a folder that the user may enter', () => {
    expect(processOf(service(withKeys('directory: bin'), {}, file)).directory).toBe(join(folder, 'bin'));
    expect(problemsOf(withKeys('directory: bin/script'), {}, file).join()).toContain('bin/script is not a folder');
    expect(problemsOf(withKeys('directory: nosuch'), {}, file).join()).toContain(`${folder}/nosuch does not exist`);
    mkdirSync(join(folder, 'locked'), { mode: 0o700 });
    expect(problemsOf(withKeys('directory: locked'), {}, file).join()).toContain(
      `user nobody cannot enter ${folder}/locked`,
    );
  });

  test('is by default the folder of the file that names the service, or / where its user may not enter that', () => {
    const loaded = load(withKeys(''), {}, file);
    expect(processOf(loaded.configuration.services[0] ?? service('')).directory).toBe(folder);
    expect(loaded.effective.services['a']).toMatchObject({ directory: folder });
    expect(processOf(service(withKeys(''), { whyNotExecutable: isClosed }, file)).directory).toBe('/');
    expect(processOf(service(`defaults: {directory: bin}\n${withKeys('')}`, {}, file)).directory).toBe(
      join(folder, 'bin'),
    );
  });

  test('takes a percent sign in the name of that folder for itself', () => {
    const odd = join(folder, '50%{service}');
    mkdirSync(odd, { mode: 0o755 });
    const { directory } = processOf(service(withKeys(''), {}, join(odd, 'services.yaml')));
    expect(unescapeTemplate(directory)).toBe(odd);
  });
});

function isClosed(path: string): string | null {
  return path === folder ? 'EACCES' : null;
}

describe('a file beside the configuration', () => {
  make('app.py', '');
  make('conf/app.conf', '');
  make('daemon', '');

  test('is found by default', () => {
    expect(problemWith('sh app.py --config=conf/app.conf')).toBe('');
  });

  test.each([
    ['sh app.py', '3:14 services.a.exec: "app.py"'],
    ['[sh, ./app.py]', '3:16 services.a.exec[1]: "./app.py"'],
    ['sh -- --config=conf/app.conf', '3:17 services.a.exec: "conf/app.conf"'],
    ['sh -x conf/', '3:17 services.a.exec: "conf/"'],
  ])('that the program of %j would look for elsewhere is told', (exec, place) => {
    const name = /: "(.*)"$/.exec(place)?.[1] ?? '';
    const full = join(folder, name).replace(/\/$/, '');
    expect(problemWith(exec, '\ndirectory: /usr')).toBe(
      `${place} is in ${folder}, and the program starts in /usr (write ${full}, or remove "directory")`,
    );
  });

  test('in a folder that is closed to the user is told', () => {
    expect(problemsOf(withKeys('exec: sh app.py'), { whyNotExecutable: isClosed }, file)).toEqual([
      `3:14 services.a.exec: "app.py" is in ${folder}, which user nobody may not enter: the program starts in /` +
        ' (move it to a folder that user nobody may enter (in /srv or /opt), or choose another "user")',
    ]);
  });

  test.each([
    'git daemon',
    'cat nosuch.py',
    `cat ${folder}/app.py`,
    'cat -a.py',
    'echo .',
    'cat %{service}.py',
    'cat ..',
  ])('is not what %j means', (exec) => {
    expect(problemWith(exec, '\ndirectory: /usr')).toBe('');
  });

  test('is no matter when the folder has one of that name too, or is known only later', () => {
    make('other/app.py', '');
    expect(problemWith('sh app.py', '\ndirectory: other')).toBe('');
    expect(problemWith('sh app.py', '\ndirectory: "/usr/%{service}"')).toBe('');
  });
});
