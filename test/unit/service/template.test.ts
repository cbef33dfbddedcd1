import {
  type PlaceholderValues,
  escapeTemplate,
  fillTemplate,
  hasPlaceholders,
  parseTemplate,
  unescapeTemplate,
} from '../../../src/service/template';

const VALUES: PlaceholderValues = {
  'peer.address': '10.0.0.5',
  'peer.port': '51034',
  'local.address': '::1',
  'local.port': '7',
  service: 'echo',
  connection: 'c1a7',
  fd: '0',
};

test.each([
  ['plain', 'plain'],
  ['', ''],
  ['%{peer.address}:%{peer.port}', '10.0.0.5:51034'],
  ['[%{local.address}]:%{local.port}', '[::1]:7'],
  ['%{service}/%{connection}/%{fd}', 'echo/c1a7/0'],
  ['100%%', '100%'],
  ['%%{service}', '%{service}'],
])('fills %j in', (text, expected) => {
  expect(fillTemplate(text, VALUES)).toBe(expected);
});

test('does not look for placeholders in what it filled in', () => {
  expect(fillTemplate('%{service}', { ...VALUES, service: '%{fd}%%' })).toBe('%{fd}%%');
});

test('text that was escaped stands for itself', () => {
  const text = '%{service} 100% %%';
  expect(hasPlaceholders(escapeTemplate(text))).toBe(false);
  expect(unescapeTemplate(escapeTemplate(text))).toBe(text);
});

test.each(['', '%', '%%', '%%%', '%{', '%{fd}', '%%{fd}', '100%', '{%}', '%{a}%{b}%', 'plain', 'ü%日'])(
  'whatever %j is, escaped it is filled in as itself',
  (text) => {
    expect(fillTemplate(escapeTemplate(text), VALUES)).toBe(text);
    expect(unescapeTemplate(escapeTemplate(text))).toBe(text);
    expect(hasPlaceholders(escapeTemplate(text))).toBe(false);
  },
);

test.each([
  ['a %s', 2, '"%" begins a placeholder', 'write %% for a percent sign'],
  ['%%%', 2, '"%" begins a placeholder', 'write %% for a percent sign'],
  ['x%{service', 1, '"%{" is not closed', 'close it with "}"; write %% for a percent sign'],
  ['%{peer.adress}', 0, 'there is no placeholder %{peer.adress}; did you mean %{peer.address}?', null],
  [
    '%{}',
    0,
    'there is no placeholder %{}',
    expect.stringContaining('the placeholders are %{peer.address}, ') as string,
  ],
  ['%{toString}', 0, 'there is no placeholder %{toString}', expect.any(String) as string],
])('points at what is wrong in %j', (text, offset, message, remedy) => {
  expect(parseTemplate(text)).toEqual({ offset, message, remedy });
});
