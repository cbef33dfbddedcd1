import { parseSize } from '../../../src/service/size';

test.each([
  ['65536', 65_536],
  ['64K', 65_536],
  ['10M', 10_485_760],
  ['1G', 1_073_741_824],
])('reads %s as %d bytes', (text, expected) => {
  expect(parseSize(text)).toBe(expected);
});

test.each(['', 'K', '64k', '64 K', '64KB', '1.5M', '-1', '1T'])('does not take %j for a size', (text) => {
  expect(parseSize(text)).toBeUndefined();
});
