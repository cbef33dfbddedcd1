import { OncePerTurn } from '../../../src/native/turn';

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('what is asked for many times in a turn is done once, after it', async () => {
  let times = 0;
  const once = new OncePerTurn(() => (times += 1));
  for (let asked = 0; asked < 5; asked += 1) once.request();
  expect(times).toBe(0);
  await nextTurn();
  expect(times).toBe(1);
  await nextTurn();
  expect(times).toBe(1);
});

test('what it does may ask for it again, and others get their turn in between', async () => {
  let times = 0;
  const once: OncePerTurn = new OncePerTurn(() => {
    times += 1;
    if (times < 3) once.request();
  });
  once.request();
  const seen: number[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    await nextTurn();
    seen.push(times);
  }
  expect(seen).toEqual([1, 2, 3, 3]);
});
