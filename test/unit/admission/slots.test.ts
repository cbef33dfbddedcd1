import { isFull, serviceGate, Slots, type Full, type Gate, type Slot } from '../../../src/admission/slots';

function mustTake(slots: Slots, service: Gate): Slot {
  const slot = slots.take(service);
  if (isFull(slot)) throw new Error(slot.full.whenFull);
  return slot;
}

function answerOf(slot: Slot | Full): string {
  return isFull(slot) ? slot.full.whenFull : 'a slot';
}

test('lets in as many children as the service may have, and one more for each that leaves', () => {
  const slots = new Slots(10);
  const service = serviceGate(2);
  const [first] = [mustTake(slots, service), mustTake(slots, service)];
  expect(answerOf(slots.take(service))).toBe('full');
  slots.release(first);
  expect([slots.take(service), slots.take(service)].map(answerOf)).toEqual(['a slot', 'full']);
});

test('lets in no more than the whole server may have, whatever the services may', () => {
  const slots = new Slots(2);
  const [one, two] = [serviceGate(10), serviceGate(10)];
  mustTake(slots, one);
  const last = mustTake(slots, two);
  expect(answerOf(slots.take(one))).toBe('server-full');
  slots.release(last);
  expect(answerOf(slots.take(one))).toBe('a slot');
});

test('a service that is full says so rather than blame the server', () => {
  const slots = new Slots(1);
  const service = serviceGate(1);
  mustTake(slots, service);
  expect(answerOf(slots.take(service))).toBe('full');
});

test('who is not let in takes nothing, at neither gate', () => {
  const slots = new Slots(1);
  const [full, free] = [serviceGate(0), serviceGate(5)];
  slots.take(full);
  expect([full.inUse, slots.server.inUse]).toEqual([0, 0]);
  mustTake(slots, free);
  slots.take(free);
  expect([free.inUse, slots.server.inUse]).toEqual([1, 1]);
});

test('a slot is taken at both gates together, and given back at both', () => {
  const slots = new Slots(5);
  const service = serviceGate(5);
  const slot = mustTake(slots, service);
  expect([service.inUse, slots.server.inUse]).toEqual([1, 1]);
  slots.release(slot);
  expect([service.inUse, slots.server.inUse]).toEqual([0, 0]);
});

test('a socket of a `wait` service needs room in the server alone, and counts at both gates', () => {
  const slots = new Slots(2);
  const service = serviceGate(0);
  expect([1, 2, 3].map(() => answerOf(slots.takeBeyond(service)))).toEqual(['a slot', 'a slot', 'server-full']);
  expect([service.inUse, slots.server.inUse]).toEqual([2, 2]);
});

test('a limit that a reload lowered below what is in use lets nobody in until enough have left', () => {
  const slots = new Slots(10);
  const service = serviceGate(3);
  const taken = [1, 2, 3].map(() => mustTake(slots, service));
  service.limit = 1;
  const answers = taken.map((slot) => {
    slots.release(slot);
    return answerOf(slots.take(service));
  });
  expect(answers).toEqual(['full', 'full', 'a slot']);
});

test.each(['release', 'putBack'] as const)('a slot is given back once: to %s it again is a fault of ours', (verb) => {
  for (const before of ['release', 'putBack'] as const) {
    const slots = new Slots(5);
    const service = serviceGate(5);
    const slot = mustTake(slots, service);
    mustTake(slots, service);
    slots[before](slot);
    expect(() => {
      slots[verb](slot);
    }).toThrow('given back twice');
    expect([service.inUse, slots.server.inUse]).toEqual([1, 1]);
  }
});

test('whoever leaves makes room at both gates, which is told once', () => {
  const slots = new Slots(5);
  const [one, two] = [serviceGate(5), serviceGate(5)];
  for (const service of [one, one, two]) slots.release(mustTake(slots, service));
  expect([...slots.takeFreed()]).toEqual([one, slots.server, two]);
  expect([...slots.takeFreed()]).toEqual([]);
});

test('a slot that was put back unused is no room for anybody', () => {
  const slots = new Slots(5);
  slots.putBack(mustTake(slots, serviceGate(5)));
  expect([...slots.takeFreed()]).toEqual([]);
});

test('room that comes while the last is given away is told the next time', () => {
  const slots = new Slots(5);
  const [one, two] = [serviceGate(5), serviceGate(5)];
  const [first, second] = [mustTake(slots, one), mustTake(slots, two)];
  slots.release(first);
  const freed = slots.takeFreed();
  slots.release(second);
  expect([...freed]).toEqual([one, slots.server]);
  expect([...slots.takeFreed()]).toEqual([two, slots.server]);
});
