/**
 * Commands before the program, on pretended children.
 */
import type { Exit } from '../../../../src/child/children';
import { Before, type Gate } from '../../../../src/server/handlers/before';
import type { Connection, Handler, Hosted } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendChildren, PretendServer, SAMPLE_PLAN, systemError } from '../pretended';
import { NO_USAGE } from '../../service/sample';

const EXIT: Exit = { status: 0, signal: null, hasCore: false, usage: NO_USAGE, rssBytes: null, failure: null };
const LIMIT_MS = 300;

let server: PretendServer;
let children: PretendChildren;
let hosted: Hosted;
/** `c7 before /bin/one exit=1`. */
let ended: string[];
let late: number[];
let served: Connection[];
/** Whose leftovers were looked for. */
let left: number[];
let before: Before;
let program: Handler;

beforeEach(() => {
  jest.useFakeTimers();
  [server, children, ended, late, served, left] = [new PretendServer(), new PretendChildren(), [], [], [], []];
  hosted = hostedService({ name: 'echo', maxConnections: 5 });
  before = new Before({
    children: { spawn: children.spawn.bind(children), has: (child) => children.running.includes(child) },
    endings: {
      refuse: ({ id }, reason, _answer, cause) => void ended.push([id, reason, ...wordsOf(cause)].join(' ')),
      drop: ({ id }, step, error) => void ended.push([id, step, error].join(' ')),
    },
    terminator: {
      begin: (due, graceMs, reason) => {
        for (const child of due) child.endReason = reason;
        late.push(...due.map(({ pid }) => pid + graceMs));
      },
    },
    serve: (connection) => {
      if (connection.handler.take(connection) === 'taken') served.push(connection);
    },
  });
  program = { isBusy: false, take: jest.fn(() => 'taken' as const) };
});

afterEach(() => jest.useRealTimers());

function wordsOf(cause: object = {}): string[] {
  return Object.entries(cause).map(([name, value]) => `${name}=${value}`);
}

function handler(...commands: string[]): Handler {
  const gates = commands.map((command): Gate => ({ command, plan: SAMPLE_PLAN }));
  return before.handlerFor(gates, { timeoutMs: LIMIT_MS, onLeft: ({ pid }) => void left.push(pid) }, program);
}

function connect(fd = 7): Connection {
  return server.connect(server.listen(hosted), fd);
}

/** The one that was started last. */
function exit(exits: Partial<Exit> = {}, at = children.running.length - 1): void {
  const [child] = children.running.splice(at, 1);
  if (child === undefined) throw new Error('nobody runs');
  child.errand.onExit(child, { ...EXIT, ...exits });
  jest.advanceTimersByTime(0);
}

test('one after the other runs, and the program when all have let the client in', () => {
  const connection = connect();
  expect(handler('/bin/one', '/bin/two').take(connection)).toBe('taken');
  expect([children.started.length, before.count]).toEqual([1, 1]);
  exit();
  expect([children.started.length, before.count]).toEqual([2, 1]);
  expect(program.take).not.toHaveBeenCalled();
  exit();
  expect(program.take).toHaveBeenCalledWith({ ...connection, handler: program });
  expect([ended, before.count]).toEqual([[], 0]);
});

test('a command knows whose connection it is about', () => {
  handler('/bin/one').take(connect());
  expect(children.started[0]?.facts).toMatch('TCPREMOTEIP=10.0.0.5\0TCPREMOTEPORT=7\0');
  expect(children.running[0]?.owner).toMatchObject({ hosted, connection: 'c7', peer: '10.0.0.5:7' });
});

test.each<[Partial<Exit>, string]>([
  [{ status: 1 }, 'exit=1'],
  [{ status: 255 }, 'exit=255'],
  [{ status: null, signal: 'SIGSEGV' }, 'signal=SIGSEGV'],
  [{ status: 127, failure: { step: 'execve', error: 'ENOENT' } }, 'step=execve error=ENOENT'],
])('whatever else it says (%j) refuses the client, and no other command runs', (how, words) => {
  handler('/bin/one', '/bin/two').take(connect());
  exit(how);
  expect([ended, children.running, served]).toEqual([[`c7 before command=/bin/one ${words}`], [], []]);
});

test('one whose time is over is ended, and has not let its client in whatever it says', () => {
  handler('/bin/one').take(connect());
  jest.advanceTimersByTime(LIMIT_MS - 1);
  expect(late).toEqual([]);
  jest.advanceTimersByTime(2);
  expect(late).toEqual([4711]);
  exit();
  expect(ended).toEqual(['c7 before command=/bin/one step=before_timeout error=ETIMEDOUT']);
});

test('what they have left behind is looked for once when the client is refused, and neither before nor where all was ended', () => {
  handler('/bin/one', '/bin/two').take(connect());
  exit();
  expect(left).toEqual([]);
  exit({ status: 1 });
  expect([left, ended.length]).toEqual([[4712], 1]);
  handler('/bin/one').take(server.connect(server.listen(hosted, { ...TCP, port: 81 }), 8));
  jest.advanceTimersByTime(LIMIT_MS + 1);
  exit();
  expect([left, ended.length]).toEqual([[4712], 2]);
});

test('each has the whole time', () => {
  handler('/bin/one', '/bin/two').take(connect());
  jest.advanceTimersByTime(LIMIT_MS - 1);
  exit();
  const lateBefore = late.length;
  jest.advanceTimersByTime(LIMIT_MS / 2);
  expect([lateBefore, late.filter((pid) => pid === 4712)]).toEqual([0, []]);
});

test.each([
  ['EAGAIN', 'processes'],
  ['ENOMEM', 'memory'],
  ['EMFILE', 'open-files'],
])('after %s the system is short of %s: the connection is worth keeping', (code, shortage) => {
  children.refusal = systemError(code, 'clone');
  expect(handler('/bin/one').take(connect())).toBe(shortage);
  expect([ended, before.count]).toEqual([[], 0]);
});

test('a clone that fails for good refuses the client', () => {
  children.refusal = systemError('EPERM', 'clone');
  expect(handler('/bin/one').take(connect())).toBe('taken');
  expect(ended).toEqual(['c7 before command=/bin/one step=clone error=EPERM']);
});

test('a connection that fails in a way that nobody foresaw is dropped', () => {
  program.take = () => {
    throw new Error('unforeseen');
  };
  handler('/bin/one').take(connect());
  exit();
  expect(ended).toEqual(['c7 prepare Error: unforeseen']);
});

test('in one turn several may end, each by its own', () => {
  const [first, second] = [connect(7), server.connect(server.listen(hosted, { ...TCP, port: 81 }), 8)];
  const both = handler('/bin/one');
  for (const connection of [first, second]) both.take(connection);
  const [one, two] = children.running.splice(0);
  one?.errand.onExit(one, { ...EXIT, status: 1 });
  two?.errand.onExit(two, EXIT);
  expect([ended, served, before.count]).toEqual([[], [], 2]);
  jest.advanceTimersByTime(0);
  expect([ended, served.map(({ id }) => id)]).toEqual([['c7 before command=/bin/one exit=1'], ['c8']]);
});

describe('when the server leaves', () => {
  test('a client whose command lets it in gets no program any more, and neither does the next', () => {
    const both = handler('/bin/one', '/bin/two');
    both.take(connect());
    before.endAll(() => true);
    expect(ended).toEqual([]);
    exit();
    both.take(server.connect(server.listen(hosted, { ...TCP, port: 81 }), 8));
    expect([ended, children.running, served]).toEqual([['c7 stopping', 'c8 stopping'], [], []]);
  });

  test('those of other services go on until their time has come', () => {
    handler('/bin/one').take(connect());
    before.endAll(() => false);
    exit();
    expect([ended, served.length]).toEqual([[], 1]);
  });
});

const TCP = { family: 'ipv4', type: 'stream', address: '127.0.0.1' } as const;
