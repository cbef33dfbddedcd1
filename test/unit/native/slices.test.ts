/**
 * Long work in turns: others have theirs in between, and one that is ended in the middle is undone, or brought to its end.
 */
import { atOnce, inSlices, Slices, type Pause, type Work } from '../../../src/native/slices';

/** What was done, and undone. */
let done: string[];
beforeEach(() => (done = []));

/** More than is done in a turn. */
const MANY = 1000;

function* work(name: string, count = MANY, pause: Pause = 'revocable'): Work<string> {
  let isDone = false;
  try {
    done.push(`${name} begins`);
    for (let step = 0; step < count; step += 1) yield pause;
    isDone = true;
    done.push(`${name} ends`);
    return name;
  } finally {
    if (!isDone) done.push(`${name} is undone`);
  }
}

function* worse(): Work<void> {
  yield 'binding';
  throw new Error('ours');
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('where nobody waits it is done at once', () => {
  expect([atOnce(work('one')), done]).toEqual(['one', ['one begins', 'one ends']]);
  expect(() => {
    atOnce(worse());
  }).toThrow('ours');
});

test('others have their turn while it is done', async () => {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    setImmediate(count).unref();
  };
  count();
  expect(await new Slices().run(work('one'))).toBe('one');
  expect(turns).toBeGreaterThan(10);
});

test('one is begun when the one before it has ended, however that ended', async () => {
  const slices = new Slices();
  const all = [slices.run(work('one')), slices.run(worse()), slices.run(work('two'))];
  expect(slices.isBusy).toBe(true);
  const outcomes = await Promise.allSettled(all);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect([done, slices.isBusy]).toEqual([['one begins', 'one ends', 'two begins', 'two ends'], false]);
});

describe('an end in the middle', () => {
  async function endIn(pause: Pause): Promise<(string | null)[]> {
    const slices = new Slices();
    const [first, second] = [slices.run(work('one', MANY, pause)), slices.run(work('two'))];
    await nextTurn();
    expect(done).toEqual(['one begins']);
    slices.end();
    done.push('ended');
    return Promise.all([first, second, slices.run(work('three'))]);
  }

  test('undoes what can be undone before it returns, and begins nothing any more', async () => {
    expect(await endIn('revocable')).toEqual([null, null, null]);
    expect(done).toEqual(['one begins', 'one is undone', 'ended']);
  });

  test('brings the rest to its end before it returns', async () => {
    expect(await endIn('binding')).toEqual(['one', null, null]);
    expect(done).toEqual(['one begins', 'one ends', 'ended']);
  });

  test('of one that fails is heard by who wanted it, and by nobody else', async () => {
    const slices = new Slices();
    function* failing(): Work<void> {
      for (let step = 0; step < MANY; step += 1) yield 'binding';
      yield* worse();
    }
    const run = slices.run(failing());
    await nextTurn();
    expect(() => {
      slices.end();
    }).not.toThrow();
    await expect(run).rejects.toThrow('ours');
  });
});

test('the first slice of what nobody waits for is done at once, and who wants to know hears of its end once', async () => {
  let ends = 0;
  function* short(): Work<void> {
    yield 'binding';
  }
  inSlices(short(), () => (ends += 1));
  expect(ends).toBe(1);
  function* long(): Work<void> {
    for (let step = 0; step < 100; step += 1) yield 'binding';
  }
  inSlices(long(), () => (ends += 1));
  expect(ends).toBe(1);
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  expect(ends).toBe(2);
});
