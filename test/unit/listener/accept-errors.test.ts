import { constants } from 'node:os';
import { errnoName } from '../../../src/native/system-error';
import { classifyAcceptError } from '../../../src/listener/accept-errors';

/** accept(2): "Linux accept() passes already-pending network errors on the new socket": the next client may be fine. */
const GONE = [
  'ECONNABORTED',
  'EPERM',
  'EPROTO',
  'ENOPROTOOPT',
  'EOPNOTSUPP',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENONET',
  'ETIMEDOUT',
  // No client's doing, but no reason to stay away from the next one either.
  'EINTR',
];
const TIRED = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'];

test.each(GONE)('%s: that client is gone, the next may be fine', (code) => {
  expect(classifyAcceptError(code)).toBe('gone');
});

test.each(TIRED)('%s: we are out of something, the client can wait', (code) => {
  expect(classifyAcceptError(code)).toBe('tired');
});

test('the name that the addon has for an error is the name in the table', () => {
  for (const name of [...GONE, ...TIRED]) {
    const number = (constants.errno as Record<string, number | undefined>)[name];
    if (number === undefined) continue;
    expect([name, classifyAcceptError(errnoName(number))]).toEqual([name, classifyAcceptError(name)]);
  }
});

test('everything else means that the listener is broken', () => {
  // Another name of EOPNOTSUPP.
  const known = ['ENOTSUP', ...GONE, ...TIRED];
  const others = Object.keys(constants.errno).filter((code) => !known.includes(code));
  expect(new Set(['EUNHEARDOF', ...others].map(classifyAcceptError))).toEqual(new Set(['broken']));
});
