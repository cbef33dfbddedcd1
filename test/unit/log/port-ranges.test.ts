import { withRanges } from '../../../src/log/port-ranges';

test.each<[addresses: string[], words: string[]]>([
  [[], []],
  [['10.0.0.5:80'], ['10.0.0.5:80']],
  [['10.0.0.5:80', '10.0.0.5:81'], ['10.0.0.5:80-81']],
  [
    ['10.0.0.5:9', '10.0.0.5:80', '10.0.0.5:10', '10.0.0.5:8'],
    ['10.0.0.5:8-10', '10.0.0.5:80'],
  ],
  [
    ['0.0.0.0:80', '[::]:80', '0.0.0.0:81', '[::]:81'],
    ['0.0.0.0:80-81', '[::]:80-81'],
  ],
  [
    ['0.0.0.0:80', '0.0.0.0:81/udp', '0.0.0.0:82/udp'],
    ['0.0.0.0:80', '0.0.0.0:81-82/udp'],
  ],
  [
    ['unix:/run/x:80', 'unix:/run/x:81', 'vsock:5', 'vsock:6', 'fd:web'],
    ['unix:/run/x:80', 'unix:/run/x:81', 'vsock:5', 'vsock:6', 'fd:web'],
  ],
])('%j are written %j', (addresses, words) => {
  expect(withRanges(addresses)).toEqual(words);
});

test('a thousand ports of both families are two words', () => {
  const both = Array.from({ length: 1000 }, (_, at) => [`0.0.0.0:${10000 + at}`, `[::]:${10000 + at}`]).flat();
  expect(withRanges(both)).toEqual(['0.0.0.0:10000-10999', '[::]:10000-10999']);
});
