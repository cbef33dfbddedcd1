import { commandOf, load, problemsOf, processOf, withKeys } from '../loading';

test('refuses tabs in the indentation', () => {
  expect(problemsOf('services:\n\ta: 1\n')).toEqual(['2:1 a tab stands in the indentation (indent with spaces)']);
});

test('refuses a second document', () => {
  expect(problemsOf(`${withKeys('')}---\nb: 2\n`)[0]).toContain('a second YAML document begins here');
});

test('refuses YAML 1.1', () => {
  expect(problemsOf(`%YAML 1.1\n---\n${withKeys('')}`)).toEqual(['1:1 only YAML 1.2 is read (remove the %YAML line)']);
});

test('shows both places of a duplicate key', () => {
  expect(problemsOf(withKeys('user: root\nuser: nobody'))).toEqual([
    '4:5 services.a: duplicate key "user": the first is at services.yaml:3:5 (remove one of them)',
  ]);
});

test('refuses tags, and points at them', () => {
  expect(problemsOf(withKeys('argv0: !!js/function x'))).toEqual([
    '3:12 services.a.argv0: YAML tags (!!js/function) are not supported (remove it; to make a value text, quote it)',
  ]);
  expect(problemsOf(withKeys('argv0: !!str 5'))).toHaveLength(1);
  expect(problemsOf(withKeys('argv0: !!int x'))).toHaveLength(1);
  expect(problemsOf(withKeys('argv0: !e!x y'))).toEqual([
    '3:12 YAML tags are not supported (remove it; to make a value text, quote it)',
  ]);
  expect(problemsOf(withKeys('socket: !x {nodelay: true}'))).toHaveLength(1);
});

test('refuses merge keys and names "defaults" instead', () => {
  expect(problemsOf(withKeys('<<: {user: root}'))).toEqual([
    '3:5 services.a: merge keys ("<<") are not supported (put what services share in "defaults")',
  ]);
});

test('follows an alias', () => {
  const { configuration } = load('services:\n  a: &x {listen: "0", exec: cat}\n  b: *x\n');
  expect(configuration.services.map((each) => commandOf(each).argv)).toEqual([['cat'], ['cat']]);
});

test('refuses an alias that nothing was anchored for, even its own', () => {
  expect(problemsOf(withKeys('argv0: *x'))[0]).toContain('no anchor "&x" stands before this alias');
  expect(problemsOf(withKeys('exec: &x [cat, *x]'))[0]).toContain('no anchor "&x"');
});

test('understands the commonest mistakes with addresses', () => {
  expect(problemsOf(withKeys('listen: *:80'))).toEqual([
    '3:13 services.a.listen: an address that begins with "*" must be quoted (write "*:80")',
  ]);
  expect(problemsOf(withKeys('listen: [::1]:80'))).toEqual([
    '3:18 an address that begins with "[" must be quoted (write "[::1]:80")',
  ]);
});

test('says to quote a value with a colon in it', () => {
  expect(problemsOf(withKeys('exec: tr a: b'))[0]).toContain('quote the value');
});

test.each(['exec: @x', 'exec: `x`', 'exec: "x', 'exec: {', 'exec: "\\q"', 'exec: |x', '? [a]\n: b', '- x'])(
  'finds a place for what is wrong with %j',
  (line) => {
    expect(problemsOf(withKeys(line))[0]).toMatch(/^[1-9]\d*:[1-9]\d* /);
  },
);

describe('keys that mean something to JavaScript', () => {
  test.each([
    '__proto__: {listen: 1}',
    'services: {__proto__: {listen: 7, exec: cat}}',
    'defaults: {env: {__proto__: x}}',
  ])('%s is refused', (text) => {
    expect(problemsOf(`services: {}\n${text}`.replace('services: {}\nservices', 'services')).join()).toContain(
      'reserved',
    );
    expect(({} as Record<string, unknown>)['listen']).toBeUndefined();
  });

  test('are ordinary names of services and variables', () => {
    const text =
      'services:\n  constructor: {listen: "0", exec: cat, env: {toString: x}}\n  hasOwnProperty: {listen: "0", exec: cat}\n';
    const { configuration } = load(text);
    expect(configuration.services.map(({ name }) => name)).toEqual(['constructor', 'hasOwnProperty']);
    const environment = configuration.services.map((each) => Object.entries(processOf(each).environment));
    expect(environment[0]).toContainEqual(['toString', 'x']);
  });

  test('are unknown keys of a service', () => {
    expect(problemsOf(withKeys('constructor: 1\ntoString: 2'))).toHaveLength(2);
  });
});

describe('within bounds of time and memory', () => {
  const bomb = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    .map(
      (name, at, names) =>
        `${name}: &${name} [${Array(10)
          .fill(at === 0 ? 'x' : `*${names[at - 1] ?? ''}`)
          .join(', ')}]`,
    )
    .join('\n');
  test.each([
    ['aliases of aliases', `${bomb}\nservices: {a: {listen: *h, exec: *h}}\n`, 'the aliases stand for too many values'],
    ['deep lists', '['.repeat(100_000), 'the nesting is too deep'],
    ['deep maps', '{a: '.repeat(100_000), 'the nesting is too deep'],
    ['deep sequences', '- '.repeat(100_000), 'the nesting is too deep'],
    ['very many values', `a: [${'x,'.repeat(1_600_000)}]`, 'the file has too many values'],
    ['very many documents', '--- a\n'.repeat(100_000), 'a second YAML document begins here'],
    ['very many duplicates', 'a: 1\n'.repeat(50_000), 'duplicate key "a"'],
    ['a very long line', `a: ${'x'.repeat(10_000_000)}`, 'unknown key "a"'],
  ])('%s', (_title, text, message) => {
    const problems = problemsOf(text);
    expect(problems.join('\n')).toContain(message);
    expect(problems.length).toBeLessThanOrEqual(10_000);
  });
});

test.each(['[gzip, -]', '[-, gzip]', '[gzip, -, x]', '[-]'])('says what is wrong with a bare "-" in %s', (list) => {
  expect(problemsOf(withKeys(`exec: ${list}`)).join()).toContain('a "-" alone in a list must be quoted (write "-")');
});
