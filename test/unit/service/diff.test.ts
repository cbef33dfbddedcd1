import { diffServices } from '../../../src/service/diff';
import type { Service } from '../../../src/service/service';
import { sampleExec, sampleService, sampleSocketOptions } from './sample';

function names(before: readonly Service[], after: readonly Service[]): Record<string, string[]> {
  const { added, changed, removed, kept } = diffServices(before, after);
  const nameOf = ({ name }: Service): string => name;
  return {
    added: added.map(nameOf),
    changed: changed.map((pair) => pair.after.name),
    removed: removed.map(nameOf),
    kept: kept.map(nameOf),
  };
}

const [a, b, c] = [sampleService({ name: 'a' }), sampleService({ name: 'b' }), sampleService({ name: 'c' })];
const NOTHING = { added: [], changed: [], removed: [], kept: [] };

test('a first configuration adds everything, an empty one removes everything', () => {
  expect(names([], [a, b])).toEqual({ ...NOTHING, added: ['a', 'b'] });
  expect(names([a, b], [])).toEqual({ ...NOTHING, removed: ['a', 'b'] });
});

test('the same services in another order are kept', () => {
  expect(names([a, b, c], [c, a, b])).toEqual({ ...NOTHING, kept: ['c', 'a', 'b'] });
});

test('what was loaded twice is kept: services are compared by what they say', () => {
  expect(names([a], [JSON.parse(JSON.stringify(a)) as Service])).toEqual({ ...NOTHING, kept: ['a'] });
});

test('any field that differs makes a service changed, and both sides are told', () => {
  const other = sampleService({ name: 'a', run: sampleExec({ environment: { PATH: '/bin', NEW: '' } }) });
  expect(names([a, b], [other, b])).toEqual({ ...NOTHING, changed: ['a'], kept: ['b'] });
  expect(diffServices([a], [other]).changed).toEqual([{ before: a, after: other }]);
});

const SOCKET = sampleSocketOptions();

test.each<[string, Partial<Service>]>([
  ['what runs', { run: { kind: 'tcpmux' } }],
  ['a word of the command', { run: sampleExec({}, { path: '/bin/cat', argv: ['cat', '%{fd}'] }) }],
  ['wait', { wait: true }],
  ['tcpmux', { tcpmux: 'plus' }],
  ['the type of a socket', { listen: [{ sockets: [{ family: 'unix', type: 'datagram', path: '@a' }] }] }],
  ['a socket option', { socket: { ...SOCKET, extra: { TCP_KEEPIDLE: 60 } } }],
  ['the mode of a path', { socket: { ...SOCKET, mode: 0o660 } }],
])('%s is a change', (_, fields) => {
  expect(names([a], [{ ...a, ...fields }])).toEqual({ ...NOTHING, changed: ['a'] });
});

test('a service under a new name is one removed and one added', () => {
  expect(names([a], [{ ...a, name: 'z' }])).toEqual({ ...NOTHING, added: ['z'], removed: ['a'] });
});

test('to disable is to remove, to enable is to add, and what stays disabled is nothing', () => {
  const off = { ...a, enabled: false };
  expect(names([a], [off])).toEqual({ ...NOTHING, removed: ['a'] });
  expect(names([off], [a])).toEqual({ ...NOTHING, added: ['a'] });
  expect(names([off], [{ ...off, run: sampleExec({ umask: 0 }) }])).toEqual(NOTHING);
});
