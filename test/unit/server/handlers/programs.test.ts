/**
 * A program for each connection, on pretended children.
 */
import type { Exit } from '../../../../src/child/children';
import { Programs, type ProgramParts } from '../../../../src/server/handlers/programs';
import type { Endings } from '../../../../src/server/hosted/endings';
import type { Connection, Hosted } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendChildren, PretendServer, SAMPLE_PLAN, systemError } from '../pretended';
import { NO_USAGE } from '../../service/sample';

const EXIT: Exit = { status: 0, signal: null, hasCore: false, usage: NO_USAGE, rssBytes: null, failure: null };

let server: PretendServer;
let children: PretendChildren;
let hosted: Hosted;
/** `c7 clone EPERM`. */
let dropped: string[];
let reaped: unknown[];
let endings: Pick<Endings, 'drop' | 'onExit'>;
let programs: Programs;

beforeEach(() => {
  [server, children, dropped, reaped] = [new PretendServer(), new PretendChildren(), [], []];
  hosted = hostedService({ name: 'echo', maxConnections: 5 });
  endings = {
    drop: ({ id }: Connection, step: string, error: string): void => void dropped.push(`${id} ${step} ${error}`),
    onExit: (...words: unknown[]): void => void reaped.push(words),
  };
  programs = serve();
});

function serve(more: Partial<ProgramParts> = {}): Programs {
  const parts = { children, endings, errand: endings, emit: server.emit, watch: null };
  return new Programs(SAMPLE_PLAN, { ...parts, ...more });
}

function connect(): Connection {
  return server.connect(server.listen(hosted), 7);
}

test('a child takes the connection over, and knows whose it is', () => {
  const connection = connect();
  expect(programs.take(connection)).toBe('taken');
  const [start] = children.started;
  expect(start?.fd).toBe(connection.fd);
  expect(start?.facts).toMatch('TCPREMOTEIP=10.0.0.5\0TCPREMOTEPORT=7\0TCPLOCALIP=127.0.0.1\0TCPLOCALPORT=80\0');
  expect(start?.facts).toMatch('STDIOD_SERVICE=echo\0STDIOD_CONNECTION=c7\0');
  expect(children.running[0]?.owner).toEqual({ hosted, connection: 'c7', peer: '10.0.0.5:7', slot: connection.slot });
});

test('that it was accepted is told with its child, which counts already', () => {
  programs.take(connect());
  expect(server.told).toEqual([
    {
      ...{ event: 'accepted', service: 'echo', connection: 'c7', peer: '10.0.0.5:7', pid: 4711 },
      ...{ children: 1, limit: 5 },
    },
  ]);
});

test.each([
  ['EAGAIN', 'processes'],
  ['ENOMEM', 'memory'],
])('after %s the system is short of %s: the connection is worth keeping, and nothing is told yet', (code, shortage) => {
  children.refusal = systemError(code, 'clone');
  expect(programs.take(connect())).toBe(shortage);
  expect([server.told, dropped, hosted.gate.inUse]).toEqual([[], [], 1]);
  children.refusal = null;
});

test('a connection whose spawn fails for good is dropped, and nobody waits for it', () => {
  children.refusal = systemError('EPERM', 'clone');
  expect(programs.take(connect())).toBe('taken');
  expect([dropped, server.told]).toEqual([['c7 clone EPERM'], []]);
});

test('a fault of ours costs that connection alone', () => {
  children.refusal = new TypeError('ours');
  expect(programs.take(connect())).toBe('taken');
  expect(dropped).toEqual(['c7 prepare TypeError: ours']);
});

test('a fault in what is told of a child that runs closes nothing: the number may be another connection’s', () => {
  programs = serve({
    emit: () => {
      throw new TypeError('ours');
    },
  });
  expect(programs.take(connect())).toBe('taken');
  expect([dropped, children.running.length, hosted.gate.inUse]).toEqual([[], 1, 1]);
});

test('a fault in what sees to the end of its session closes nothing either', () => {
  const add = (): never => {
    throw new Error('not to be watched');
  };
  programs = serve({ watch: { questionOf: () => null, add } });
  expect([programs.take(connect()), dropped, children.started.length]).toEqual(['taken', [], 1]);
});

test('the end of the child is the end of the connection', () => {
  programs.take(connect());
  const [child] = children.running;
  child?.errand.onExit(child, EXIT);
  expect(reaped).toEqual([[child, EXIT]]);
});

test('what is to be asked of the connection later is noted while we have it, and goes with its child', () => {
  const noted: unknown[] = [];
  const question = Buffer.from('who');
  const watch = {
    questionOf: ({ fd }: Connection): Buffer => {
      noted.push(fd, children.running.length);
      return question;
    },
    add: (...words: unknown[]): void => void noted.push(words),
  };
  programs = serve({ watch });
  const connection = connect();
  programs.take(connection);
  expect(noted).toEqual([connection.fd, 0, [children.running[0], question]]);
});
