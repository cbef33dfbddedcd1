/**
 * What is told of a flood of refused clients: the first ones, and how many came after them.
 */
import type { LogEvent } from '../../../../src/log/events';
import { hostedService } from '../pretended';
import { Refusals } from '../../../../src/server/hosted/refusals';

type Refused = Extract<LogEvent, { event: 'refused' }>;

const web = hostedService({ name: 'web' });

let told: LogEvent[];
let refusals: Refusals;

beforeEach(() => {
  jest.useFakeTimers();
  told = [];
  refusals = new Refusals((event) => told.push(event));
});

afterEach(() => jest.useRealTimers());

function refuse(count: number, fields: Partial<Refused> = {}, hosted = web): void {
  for (let peer = 0; peer < count; peer += 1) {
    refusals.tell(hosted, {
      event: 'refused',
      service: 'web',
      peer: `10.0.0.5:${peer}`,
      reason: 'service-limit',
      limit: 5,
      ...fields,
    });
  }
}

const REST: Refused = { event: 'refused', service: 'web', reason: 'service-limit', limit: 5 };

test('the first clients of a second are told each, at once', () => {
  refuse(32);
  expect(told.map((event) => 'peer' in event && event.peer)).toEqual(
    Array.from({ length: 32 }, (_, index) => `10.0.0.5:${index}`),
  );
  jest.advanceTimersByTime(10_000);
  expect([told.length, jest.getTimerCount()]).toEqual([32, 0]);
});

test('those beyond are counted, and told when the second is over', () => {
  refuse(40_000);
  expect(told).toHaveLength(32);
  jest.advanceTimersByTime(1000);
  expect(told.slice(32)).toEqual([{ ...REST, count: 39_968 }]);
  refuse(1);
  expect(jest.getTimerCount()).toBe(0);
  expect(told.slice(33)).toMatchObject([{ peer: '10.0.0.5:0' }]);
});

test('another service, and another reason, has its own', () => {
  refuse(100);
  refuse(1, { service: 'mail' }, hostedService({ name: 'mail' }));
  refuse(1, { reason: 'server-limit' });
  expect(told.slice(32)).toMatchObject([{ service: 'mail' }, { reason: 'server-limit' }]);
});

test('at the end nothing is left untold, and nothing told twice', () => {
  refuse(100);
  refusals.flush();
  expect(told.slice(32)).toEqual([{ ...REST, count: 68 }]);
  refusals.flush();
  jest.advanceTimersByTime(1000);
  expect(told).toHaveLength(33);
});
