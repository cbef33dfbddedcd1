import { splitWords } from '../../../src/service/words';

function words(line: string): string[] {
  const split = splitWords(line);
  if (!split.ok) throw new Error(`${split.fault} at ${split.index}`);
  return split.words.map(({ text }) => text);
}

test.each([
  ['tr a-z A-Z', ['tr', 'a-z', 'A-Z']],
  ['  a\t b\n c ', ['a', 'b', 'c']],
  [`a'b c'd`, ['ab cd']],
  [`"a b" 'c d'`, ['a b', 'c d']],
  [`'' ""`, ['', '']],
  [`a\\ b \\' \\"`, ['a b', "'", '"']],
  [`"a\\"b\\\\c\\$d\\e"`, ['a"b\\c$d\\e']],
  [`'a\\b'`, ['a\\b']],
  ['a\\\nb "c\\\nd"', ['ab', 'cd']],
  ['#a b#c', ['#a', 'b#c']],
  [`grep x$ '*.txt' [a] {peer} a?`, ['grep', 'x$', '*.txt', '[a]', '{peer}', 'a?']],
  [`echo '|' ">" \\& '$HOME' "$HOME"`, ['echo', '|', '>', '&', '$HOME', '$HOME']],
  ['', []],
])('splits %j as a POSIX shell would', (line, expected) => {
  expect(words(line)).toEqual(expected);
});

test('tells where each word begins, its quotes included', () => {
  const split = splitWords(`  cat 'a b' c`);
  expect(split.ok && split.words.map(({ start }) => start)).toEqual([2, 6, 12]);
});

test.each([
  [`echo 'a`, 'unclosed-quote', 5],
  [`echo a"b`, 'unclosed-quote', 6],
  [`echo "a\\"`, 'unclosed-quote', 5],
  ['echo \\', 'lone-backslash', 5],
  ['a | b', 'shell-character', 2],
  ['a>b', 'shell-character', 1],
  ['a 2>&1', 'shell-character', 3],
  ['a < b', 'shell-character', 2],
  ['a;b', 'shell-character', 1],
  ['a &', 'shell-character', 2],
  ['a $HOME', 'shell-character', 2],
  ['a ${B}', 'shell-character', 2],
  ['a $(b)', 'shell-character', 2],
  ['a `b`', 'shell-character', 2],
])('refuses %j and points at the character', (line, fault, index) => {
  expect(splitWords(line)).toMatchObject({ ok: false, fault, index, character: line.charAt(index) });
});
