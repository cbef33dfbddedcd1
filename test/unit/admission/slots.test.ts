import { Slots, type Gate } from '../../../src/admission/slots';

function gate(limit: number): Gate {
  return { limit, inUse: 0 };
}

test('admits as many children as the service may have, and one more for each that is released', () => {
  const slots = new Slots(10);
  const service = gate(2);
  expect([slots.take(service), slots.take(service), slots.take(service)]).toEqual(['admit', 'admit', 'full']);
  slots.release(service);
  expect([slots.take(service), slots.take(service)]).toEqual(['admit', 'full']);
});

test('admits no more than the whole server may have, whatever the services may', () => {
  const slots = new Slots(2);
  const [one, two] = [gate(10), gate(10)];
  expect([slots.take(one), slots.take(two), slots.take(one)]).toEqual(['admit', 'admit', 'server-full']);
  slots.release(two);
  expect(slots.take(one)).toBe('admit');
});

test('a service that is full says so rather than blame the server', () => {
  const slots = new Slots(1);
  const service = gate(1);
  slots.take(service);
  expect(slots.take(service)).toBe('full');
});

test('to refuse takes nothing, and to check takes nothing', () => {
  const slots = new Slots(1);
  const [full, free] = [gate(0), gate(1)];
  slots.take(full);
  slots.check(free);
  expect([full.inUse, free.inUse, slots.server.inUse]).toEqual([0, 0, 0]);
  expect(slots.take(free)).toBe('admit');
});

test('a limit that a reload lowered below what is in use admits nobody until enough have left', () => {
  const slots = new Slots(10);
  const service = gate(3);
  for (let count = 0; count < 3; count += 1) slots.take(service);
  service.limit = 1;
  const verdicts = [0, 1, 2].map(() => {
    slots.release(service);
    return slots.check(service);
  });
  expect(verdicts).toEqual(['full', 'full', 'admit']);
});

test('a slot that is released twice is a fault of ours and crashes', () => {
  const slots = new Slots(1);
  const service = gate(1);
  slots.take(service);
  slots.release(service);
  expect(() => {
    slots.release(service);
  }).toThrow('released twice');
});
