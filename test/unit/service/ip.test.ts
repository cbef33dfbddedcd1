/** Networks as ranges: what is said of an address is what its most specific network says. */
import { findRange, maskWord, type Network, NOTHING, rangeTable, readIp } from '../../../src/service/ip';

function wordsOf(text: string): Uint32Array {
  const words = new Uint32Array(4);
  readIp(text, words);
  return words;
}

function network(text: string, value: number): Network {
  const [address = '', prefix = ''] = text.split('/');
  return { words: [...wordsOf(address)], prefix: Number(prefix), value };
}

test.each([
  ['0.0.0.0', 4, [0]],
  ['10.1.2.3', 4, [0x0a010203]],
  ['255.255.255.255', 4, [0xffffffff]],
  ['::ffff:10.1.2.3', 4, [0x0a010203]],
  ['::ffff:a01:203', 4, [0x0a010203]],
  ['::', 6, [0, 0, 0, 0]],
  ['::1', 6, [0, 0, 0, 1]],
  ['2001:db8::5', 6, [0x20010db8, 0, 0, 5]],
  ['1:2:3:4:5:6:7:8', 6, [0x10002, 0x30004, 0x50006, 0x70008]],
  ['fe80::1%eth0', 6, [0xfe800000, 0, 0, 1]],
  ['64:ff9b::10.0.0.5', 6, [0x64ff9b, 0, 0, 0x0a000005]],
])('%s is read', (text, family, expected) => {
  const words = new Uint32Array(4);
  expect([readIp(text, words), [...words.slice(0, expected.length)]]).toEqual([family, expected]);
});

test('the first bits of a word', () => {
  expect([40, 32, 31, 8, 1, 0, -8].map((bits) => maskWord(0xffffffff, bits))).toEqual([
    0xffffffff, 0xffffffff, 0xfffffffe, 0xff000000, 0x80000000, 0, 0,
  ]);
});

test('the most specific network decides, and behind its end the one around it again', () => {
  const table = rangeTable([network('10.0.0.0/8', 1), network('10.1.0.0/16', 2), network('10.1.0.5/32', 3)], 4);
  const valueOf = (text: string): number => findRange(table, wordsOf(text));
  expect(
    ['9.255.255.255', '10.0.0.0', '10.0.255.255', '10.1.0.0', '10.1.0.4', '10.1.0.5', '10.1.0.6', '10.1.255.255'].map(
      valueOf,
    ),
  ).toEqual([NOTHING, 1, 1, 2, 2, 3, 2, 2]);
  expect(['10.2.0.0', '10.255.255.255', '11.0.0.0', '0.0.0.0', '255.255.255.255'].map(valueOf)).toEqual([
    1,
    1,
    NOTHING,
    NOTHING,
    NOTHING,
  ]);
});

test('of two that are the same the first decides', () => {
  const table = rangeTable([network('10.0.0.0/8', 7), network('10.0.0.0/8', 8)], 4);
  expect([findRange(table, wordsOf('10.0.0.0')), findRange(table, wordsOf('11.0.0.0'))]).toEqual([7, NOTHING]);
});

test.each([4, 6] as const)('a network may be the whole of IPv%d, or its last address', (family) => {
  const [all, last] = family === 4 ? ['0.0.0.0/0', '255.255.255.255/32'] : ['::/0', `${'ffff:'.repeat(7)}ffff/128`];
  const table = rangeTable([network(all, 1), network(last, 2)], family);
  const [first = '', end = ''] = [all, last].map((text) => text.split('/')[0]);
  expect([findRange(table, wordsOf(first)), findRange(table, wordsOf(end))]).toEqual([1, 2]);
});

test('whatever the networks, the table says what a walk through all of them says', () => {
  let seed = 20_261_122;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (const family of [4, 6] as const) {
    const width = family === 4 ? 1 : 4;
    // Few addresses, so that networks lie in each other.
    const address = (): number[] =>
      Array.from({ length: 4 }, (_, at) => (at < width ? random(4) * 2 ** 30 + random(4) : 0));
    for (let round = 0; round < 200; round += 1) {
      const networks = Array.from({ length: random(12) }, (_, value) => {
        const prefix = random(32 * width + 1);
        return { words: address().map((word, at) => maskWord(word, prefix - 32 * at)), prefix, value };
      });
      const table = rangeTable(networks, family);
      for (let tries = 0; tries < 20; tries += 1) {
        const words = Uint32Array.from(address());
        expect(findRange(table, words)).toBe(walk(networks, words, width));
      }
    }
  }
});

function walk(networks: readonly Network[], words: Uint32Array, width: number): number {
  const found = networks
    .filter(({ words: start, prefix }) =>
      start.slice(0, width).every((word, at) => word === maskWord(words[at] ?? 0, prefix - 32 * at)),
    )
    .sort((a, b) => b.prefix - a.prefix || a.value - b.value);
  return found[0]?.value ?? NOTHING;
}
