import { type Diagnostic, renderDiagnostics } from '../../../../src/config/report/diagnostic';

const ONE: Diagnostic = {
  file: 'services.yaml',
  line: 6,
  column: 13,
  path: 'services.web.listen',
  message: 'port must be 0-65535, got 70000',
  remedy: 'choose another',
  source: '    listen: 70000',
  sourceColumn: 1,
};

test('shows place, line, caret and remedy, and last how many there are and what did not happen', () => {
  expect(renderDiagnostics([ONE], { color: false, outcome: 'nothing was changed' })).toBe(
    [
      'services.yaml:6:13: services.web.listen: port must be 0-65535, got 70000',
      '      listen: 70000',
      '              ^',
      '  remedy: choose another',
      'services.yaml: 1 problem, nothing was changed',
      '',
    ].join('\n'),
  );
});

test('says "nothing was started" unless told otherwise, and names the main file', () => {
  const text = renderDiagnostics([{ ...ONE, file: 'conf.d/a.yaml' }, ONE], { color: false, file: 'services.yaml' });
  expect(text.endsWith('services.yaml: 2 problems, nothing was started\n')).toBe(true);
});

test('shows a problem of the whole file without a line', () => {
  const text = renderDiagnostics([{ ...ONE, line: 0, column: 0, path: '', source: '' }], { color: false });
  expect(text.split('\n')[0]).toBe('services.yaml: port must be 0-65535, got 70000');
});

test.each([
  ['\tlisten: 7', 10, 18],
  ['日本: 7', 5, 8],
  ['a\u001b: 7', 5, 9],
  ['e\u0301: 7', 5, 5],
])('puts the caret under the character that %j means', (source, column, caret) => {
  const lines = renderDiagnostics([{ ...ONE, source, column }], { color: false }).split('\n');
  expect(lines[2]?.indexOf('^')).toBe(caret);
});

test('lets no text of the file control the terminal', () => {
  const nasty = '\u001b[31m\r\n\u202e\u009b';
  const text = renderDiagnostics([{ ...ONE, source: nasty, message: nasty, path: nasty, remedy: nasty, file: nasty }], {
    color: false,
  });
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(text).toContain('\\x1b[31m\\x0d\\x0a\\u{202e}\\x9b');
});

test('uses colour only when asked to', () => {
  expect(renderDiagnostics([ONE], { color: true })).toContain('\u001b[');
  expect(renderDiagnostics([ONE], { color: false })).not.toContain('\u001b');
});

test('shows a hundred and counts the rest', () => {
  const lines = renderDiagnostics(Array<Diagnostic>(250).fill(ONE), { color: false }).trimEnd().split('\n');
  expect(lines.filter((line) => line.startsWith('services.yaml:6:13'))).toHaveLength(100);
  expect(lines.slice(-2)).toEqual(['and 150 more', 'services.yaml: 250 problems, nothing was started']);
});

test('has nothing to say about nothing', () => {
  expect(renderDiagnostics([], { color: false })).toBe('');
});

test('folds messages and remedies to the width of the terminal, and leaves the line that they are about', () => {
  const remedy = 'the keys here are listen, exec, builtin, redirect, wait, enabled, description, argv0, user';
  expect(renderDiagnostics([{ ...ONE, remedy }], { color: false, columns: 50 })).toBe(
    [
      'services.yaml:6:13: services.web.listen: port must',
      '    be 0-65535, got 70000',
      '      listen: 70000',
      '              ^',
      '  remedy: the keys here are listen, exec, builtin,',
      '    redirect, wait, enabled, description, argv0,',
      '    user',
      'services.yaml: 1 problem, nothing was started',
      '',
    ].join('\n'),
  );
});
