/**
 * Questions about connections whose lock somebody may hold: who keeps a thread costs their own service, and no other one.
 */
import { MOST_OUT, Questions, TELLING_MS, type ConnectionFacts } from '../../../src/child/questions';
import { addon, type SocketInquiry } from '../../../src/native/addon';

jest.mock('../../../src/native/addon', () => ({
  addon: { askSockets: jest.fn(), socketsSoFar: jest.fn(), giveUpSockets: jest.fn(), isAskingSockets: jest.fn() },
}));
const kernel = jest.mocked(addon);

type Facts = readonly (ConnectionFacts | undefined)[];

/** TCP_ESTABLISHED, and quiet for as long as it takes. */
const ESTABLISHED = 1;
const OPEN: ConnectionFacts = { state: 'open', quietMs: 7 };

/** A thread that asks: it stops at who is locked. */
class Inquiry {
  #questions: readonly Buffer[];

  constructor(questions: readonly Buffer[]) {
    this.#questions = questions;
  }

  get isStuck(): boolean {
    return this.#questions.some((question) => locked.has(question));
  }

  get answers(): [number, number, number][] {
    const at = this.#questions.findIndex((question) => locked.has(question));
    return this.#questions.slice(0, at < 0 ? undefined : at).map(() => [ESTABLISHED, 7, 9]);
  }

  giveUp(): void {
    this.#questions = this.#questions.slice(0, this.answers.length + 1);
  }
}

let locked: Set<Buffer>;
let inquiries: Map<SocketInquiry, Inquiry>;
let asked: Buffer[];
let told: string[];
let questions: Questions;

beforeEach(() => {
  jest.useFakeTimers();
  [locked, inquiries, asked, told] = [new Set(), new Map(), [], []];
  questions = new Questions((service) => told.push(service));
  kernel.askSockets.mockImplementation((list) => {
    const handle = {} as SocketInquiry;
    inquiries.set(handle, new Inquiry(list));
    asked.push(...list);
    return handle;
  });
  kernel.socketsSoFar.mockImplementation((handle) => inquiries.get(handle)?.answers ?? []);
  kernel.giveUpSockets.mockImplementation((handle) => inquiries.get(handle)?.giveUp());
  kernel.isAskingSockets.mockImplementation((handle) => inquiries.get(handle)?.isStuck ?? false);
});

afterEach(() => jest.useRealTimers());

function connections(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from([index]));
}

function lock(list: readonly Buffer[]): void {
  for (const each of list) locked.add(each);
}

/** @returns what is known in the end; empty: nothing was answered yet */
function ask(service: string, list: readonly Buffer[]): { facts: Facts } {
  const answer: { facts: Facts } = { facts: [] };
  questions.ask(service, list, (facts) => (answer.facts = facts));
  return answer;
}

test('are answered in a later turn, in their order', () => {
  const answer = ask('it', connections(3));
  expect(answer.facts).toEqual([]);
  jest.runAllTimers();
  expect(answer.facts).toEqual([OPEN, OPEN, OPEN]);
});

test('whoever does not answer is passed over', () => {
  const [first, second, third] = [Buffer.from('1'), Buffer.from('2'), Buffer.from('3')];
  lock([second]);
  const answer = ask('it', [first, second, third]);
  jest.runAllTimers();
  expect(answer.facts).toEqual([OPEN, undefined, OPEN]);
});

test('whoever has not answered is not asked again before it has', () => {
  const [one, other] = [Buffer.from('1'), Buffer.from('2')];
  lock([one]);
  ask('it', [one, other]);
  jest.runAllTimers();
  for (let time = 0; time < 3; time += 1) {
    const answer = ask('it', [one, other]);
    jest.runAllTimers();
    expect(answer.facts).toEqual([undefined, OPEN]);
  }
  expect(asked.filter((question) => question === one)).toHaveLength(1);
  locked.clear();
  const answer = ask('it', [one, other]);
  jest.runAllTimers();
  expect(answer.facts).toEqual([OPEN, OPEN]);
});

test('a service with as many out as it may is asked about nobody until one comes back, and is told once', () => {
  const bad = connections(2 * MOST_OUT);
  lock(bad);
  const good = Buffer.from('good');
  ask('it', [...bad, good]);
  jest.runAllTimers();
  const answer = ask('it', [good]);
  jest.runAllTimers();
  expect([answer.facts, told]).toEqual([[undefined], ['it']]);
  expect([...inquiries.values()].filter(({ isStuck }) => isStuck)).toHaveLength(MOST_OUT);
  locked.delete(asked[0] ?? good);
  const later = ask('it', [good]);
  jest.runAllTimers();
  expect(later.facts).toEqual([OPEN]);
});

test('a service that comes to it again and again is told once in a while', () => {
  for (let time = 0; time < 3; time += 1) {
    const bad = connections(MOST_OUT);
    lock(bad);
    ask('it', bad);
    jest.runAllTimers();
    locked.clear();
    ask('other', connections(1));
    jest.runAllTimers();
  }
  expect(told).toEqual(['it']);
  jest.advanceTimersByTime(TELLING_MS);
  const bad = connections(MOST_OUT);
  lock(bad);
  ask('it', bad);
  jest.runAllTimers();
  expect(told).toEqual(['it', 'it']);
});

test('no service waits for the questions of another one', () => {
  const bad = connections(2 * MOST_OUT);
  lock(bad);
  const held = ask('it', bad);
  const answer = ask('other', connections(2));
  jest.advanceTimersByTime(50);
  expect([answer.facts, held.facts]).toEqual([[OPEN, OPEN], []]);
});

test('however many requests wait for nothing, each hears of it', () => {
  const bad = connections(MOST_OUT);
  lock(bad);
  const answers = [ask('it', bad), ...Array.from({ length: 10_000 }, () => ask('it', connections(1)))];
  jest.runAllTimers();
  expect(answers.filter(({ facts }) => facts.length > 0 && facts.every((each) => each === undefined))).toHaveLength(
    answers.length,
  );
});
