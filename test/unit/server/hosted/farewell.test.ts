/** Last words, on pretended connections: who is held, for how long, and how many. */
import { addon, type Fd } from '../../../../src/native/addon';
import { Farewells } from '../../../../src/server/hosted/farewell';
import { PretendPollSet } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({
  addon: { sendNow: jest.fn(), refuse: jest.fn(), endWriting: jest.fn(), passOver: jest.fn() },
}));

const kernel = jest.mocked(addon);

let pollSet: PretendPollSet;
let farewells: Farewells;

beforeEach(() => {
  jest.useFakeTimers();
  jest.resetAllMocks();
  kernel.endWriting.mockReturnValue(true);
  pollSet = new PretendPollSet();
  farewells = new Farewells(pollSet);
});

afterEach(() => jest.useRealTimers());

function closed(): number[] {
  return kernel.refuse.mock.calls.map(([fd]) => fd);
}

test('a connection is held until its client leaves', () => {
  farewells.say(7 as Fd, 'sorry');
  expect([kernel.sendNow.mock.calls, closed(), farewells.count]).toEqual([[[7, 'sorry']], [], 1]);
  kernel.passOver.mockReturnValueOnce(false).mockReturnValue(true);
  pollSet.makeReady(7 as Fd);
  expect(closed()).toEqual([]);
  pollSet.makeReady(7 as Fd);
  expect([closed(), farewells.count, pollSet.watchers.size]).toEqual([[7], 0, 0]);
});

test('and no longer than a moment', () => {
  farewells.say(7 as Fd, 'sorry');
  jest.advanceTimersByTime(900);
  farewells.say(8 as Fd, 'sorry');
  jest.advanceTimersByTime(350);
  expect(closed()).toEqual([7]);
  jest.advanceTimersByTime(1000);
  expect([closed(), jest.getTimerCount()]).toEqual([[7, 8], 0]);
});

test('when there are too many the oldest is closed', () => {
  for (let fd = 1; fd <= 130; fd += 1) farewells.say(fd as Fd, 'sorry');
  expect([farewells.count, closed()]).toEqual([128, [1, 2]]);
});

test('none is held where descriptors are short, or one cannot be watched, or is not to be held', () => {
  farewells.say(7 as Fd, 'sorry');
  farewells.makeRoom();
  expect([closed(), farewells.count]).toEqual([[7], 0]);
  pollSet.isFull = true;
  farewells.say(8 as Fd, 'sorry');
  kernel.endWriting.mockReturnValue(false);
  pollSet.isFull = false;
  farewells.say(9 as Fd, 'sorry');
  expect([closed(), farewells.count]).toEqual([[7, 8, 9], 0]);
});
