import { isOfFormat, parseBinaryFormat } from '../../../../src/config/machine/binary-formats';

const MAGIC = 'enabled\ninterpreter /usr/bin/python3\nflags: \noffset 1\nmagic a70d0d0a\n';

function matches(text: string, path: string, head: readonly number[]): boolean | undefined {
  const format = parseBinaryFormat(text);
  return format && isOfFormat(path, Buffer.from(head), format);
}

test('knows a registered format by its first bytes', () => {
  expect(matches(MAGIC, '/x', [0, 0xa7, 0x0d, 0x0d, 0x0a, 1])).toBe(true);
  expect(matches(MAGIC, '/x', [0xa7, 0x0d, 0x0d, 0x0a, 1])).toBe(false);
  expect(matches(MAGIC, '/x', [0, 0xa7, 0x0d])).toBe(false);
});

test('compares the bits of the mask alone', () => {
  expect(matches(`${MAGIC}mask f0ffffff\n`, '/x', [0, 0xa0, 0x0d, 0x0d, 0x0a])).toBe(true);
  expect(matches(`${MAGIC}mask f0ffffff\n`, '/x', [0, 0xb7, 0x0d, 0x0d, 0x0a])).toBe(false);
});

test('knows a registered format by its extension', () => {
  const text = 'enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n';
  expect(matches(text, '/x.exe', [])).toBe(true);
  expect(matches(text, '/exe', [])).toBe(false);
});

test('passes by what is switched off, and by the switch itself', () => {
  expect(parseBinaryFormat(MAGIC.replace('enabled', 'disabled'))).toBeUndefined();
  expect(parseBinaryFormat('enabled\n')).toBeUndefined();
});
