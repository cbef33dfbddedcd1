/**
 * RFC 1078 on pretended clients: what they say, what they hear, and that their slot goes with them.
 */
import { addon, type Fd } from '../../../../src/native/addon';
import { Tcpmux } from '../../../../src/server/handlers/tcpmux';
import { Endings } from '../../../../src/server/hosted/endings';
import type { Connection, Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { accessOf } from '../../../../src/service/access';
import { OPEN } from '../../../../src/service/admission';
import type { Service } from '../../../../src/service/service';
import { hostedService, PretendServer, tcp } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({
  addon: { readLine: jest.fn(), sendNow: jest.fn(), refuse: jest.fn(), freeDescriptors: jest.fn() },
}));

const FD = 7 as Fd;
const NOBODY = { verb: 'deny', whom: { kind: 'all' }, text: 'deny all' } as const;
const kernel = jest.mocked(addon);

let server: PretendServer;
let mux: Hosted;
let listener: HostedListener;
let services: Hosted[];
let served: Connection[];
let freed: number;
/** What the wanted service does with a connection. */
let serve: (connection: Connection) => void;
let tcpmux: Tcpmux;
/** What the client has sent and nobody has read; null: it has left. */
let unread: string | null;
/** What the client has heard. */
let heard: string;
/** Descriptors that could be had. */
let free: number;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  [server, services, served, freed, unread, heard, free] = [new PretendServer(), [], [], 0, '', '', 1000];
  serve = (connection) => void served.push(connection);
  const { slots, emit, pollSet } = server;
  const onFreed = (): void => void (freed += 1);
  tcpmux = new Tcpmux({
    slots,
    endings: new Endings(slots, emit, onFreed),
    pollSet,
    services: () => services,
    serve: (connection) => {
      serve(connection);
    },
    onFreed,
  });
  mux = hostedService({ name: 'mux', maxConnections: 5 }, { handler: tcpmux });
  listener = server.listeners.open(tcp(1), mux.service.socket, mux);
  kernel.readLine.mockImplementation((_, limit) => readLine(limit));
  kernel.freeDescriptors.mockImplementation((most) => Math.min(most, free));
  kernel.sendNow.mockImplementation((_, text) => void (heard += text));
});

afterEach(() => jest.useRealTimers());

/** As the addon does: not a byte beyond the line. */
function readLine(limit: number): { text: string; isEnd: boolean } | null {
  if (unread === null) return { text: '', isEnd: false };
  if (unread === '') return null;
  const end = unread.indexOf('\n') + 1;
  const text = unread.slice(0, Math.min(limit, end === 0 ? unread.length : end));
  unread = unread.slice(text.length);
  return { text, isEnd: text.endsWith('\n') };
}

function offer(fields: Partial<Service>): Hosted {
  const hosted = hostedService({ tcpmux: 'plain', ...fields });
  services.push(hosted);
  return hosted;
}

function connect(fd = FD): Connection {
  const connection = server.connect(listener, fd);
  tcpmux.take(connection);
  return connection;
}

function say(text: string | null): void {
  unread = text === null ? null : `${unread ?? ''}${text}`;
  server.pollSet.makeReady(FD);
}

/** Why the client was refused. */
function reasons(): unknown[] {
  return server.told.map((event) => ('reason' in event ? event.reason : event.event));
}

/** The talk is over: nobody listens, no timer runs, no slot is held. */
function expectEnd(): void {
  expect([tcpmux.count, server.pollSet.watchers.size, jest.getTimerCount(), mux.gate.inUse]).toEqual([0, 0, 0, 0]);
}

test('a client that names a service becomes its connection, as if that had accepted it', () => {
  const echo = offer({ name: 'echo' });
  const connection = connect();
  say('echo\r\nfirst line for it\r\n');
  expect(served).toMatchObject([{ id: connection.id, fd: FD, hosted: echo, handler: echo.handler }]);
  expect([unread, heard, echo.gate.inUse, server.slots.server.inUse]).toEqual(['first line for it\r\n', '', 1, 1]);
  expectEnd();
  expect([server.told, kernel.refuse.mock.calls]).toEqual([[], []]);
});

test('the slot that it had is room for somebody, once the other one is taken', () => {
  offer({ name: 'echo' });
  connect();
  say('echo\n');
  expect([freed, [...server.slots.takeFreed()]]).toEqual([1, [mux.gate, server.slots.server]]);
  expect(served[0]?.slot.gates).toHaveLength(2);
});

test('the server’s last slot goes with the client from one service to the other', () => {
  const echo = offer({ name: 'echo' });
  server.slots.server.limit = 1;
  connect();
  say('echo\n');
  expect([served.length, echo.gate.inUse]).toEqual([1, 1]);
});

test.each(['ECHO', ' echo ', 'Echo'])('a name matches whatever its case: %j', (name) => {
  offer({ name: 'eCHo' });
  connect();
  say(`${name}\r\n`);
  expect(served).toHaveLength(1);
});

test('a line may come in pieces', () => {
  offer({ name: 'echo' });
  connect();
  for (const piece of ['e', 'ch', 'o\r', '\n']) say(piece);
  expect(served).toHaveLength(1);
});

test('`+` is said for a program that does not say it itself', () => {
  offer({ name: 'echo', tcpmux: 'plus' });
  connect();
  say('echo\r\n');
  expect([heard, served.length]).toEqual(['+Go\r\n', 1]);
});

test('help lists what is offered, and nothing else', () => {
  offer({ name: 'echo' });
  offer({ name: 'hidden', tcpmux: null });
  offer({ name: 'Mail', tcpmux: 'plus' });
  connect();
  say('HELP\r\n');
  expect([heard, reasons()]).toEqual(['echo\r\nMail\r\n', ['help']]);
  expectEnd();
});

test.each(['hidden', 'nobody', ''])('a service that is not offered is not available: %j', (name) => {
  offer({ name: 'hidden', tcpmux: null });
  connect();
  say(`${name}\r\n`);
  expect([heard, reasons(), served]).toEqual(['-Service not available\r\n', ['no-service'], []]);
  expectEnd();
});

test('a service that is full lets nobody wait here, and the client’s own slot is given back', () => {
  offer({ name: 'echo', maxConnections: 0 });
  connect();
  say('echo\r\n');
  expect(heard).toBe('-Service is full\r\n');
  expect(server.told).toEqual([
    { event: 'refused', service: 'echo', peer: '10.0.0.5:7', reason: 'service-limit', limit: 0 },
  ]);
  expect([served, freed, server.slots.server.inUse]).toEqual([[], 1, 0]);
  expectEnd();
});

test('what the wanted service asks of its clients it asks of this one too, and the slot makes room for nobody', () => {
  const echo = offer({ name: 'echo', tcpmux: 'plus', admission: { ...OPEN, access: accessOf([NOBODY]) } });
  connect();
  say('echo\r\n');
  expect([heard, served, echo.gate.inUse]).toEqual(['-Service not available\r\n', [], 0]);
  expect(server.told).toMatchObject([{ event: 'refused', service: 'echo', peer: '10.0.0.5:7', reason: 'address' }]);
  expectEnd();
});

test('a line of 256 bytes is read, and one that is longer is too long', () => {
  connect();
  say('x'.repeat(255));
  expect(reasons()).toEqual([]);
  say('\n');
  expect(reasons()).toEqual(['no-service']);
  connect();
  say('x'.repeat(1000));
  expect([reasons(), heard]).toEqual([['no-service', 'too-long'], '-Service not available\r\n-Too long\r\n']);
  expectEnd();
});

test('a client that says nothing is let go after 10 seconds, one that began to speak too', () => {
  for (const words of ['', 'ech']) {
    connect();
    if (words !== '') say(words);
    jest.advanceTimersByTime(9_999);
    expect(tcpmux.count).toBe(1);
    jest.advanceTimersByTime(1);
    expectEnd();
  }
  expect([reasons(), freed]).toEqual([['silent', 'silent'], 2]);
});

test('a client that leaves gives its slot back', () => {
  connect();
  say(null);
  expect([reasons(), freed]).toEqual([['left'], 1]);
  expectEnd();
});

test('out of epoll watches a client is refused, because nobody would hear it', () => {
  server.pollSet.isFull = true;
  connect(8 as Fd);
  expect([reasons(), tcpmux.count, jest.getTimerCount()]).toEqual([['memory'], 0, 0]);
});

test('a fault while one client is read costs that client alone', () => {
  connect();
  connect(8 as Fd);
  kernel.readLine.mockImplementationOnce(() => {
    throw new TypeError('ours');
  });
  say('echo\r\n');
  expect([reasons(), tcpmux.count, mux.gate.inUse]).toEqual([['memory'], 1, 1]);
});

test('a fault while a client is handed over drops that client, and gives its new slot back', () => {
  const echo = offer({ name: 'echo' });
  serve = (): never => {
    throw new TypeError('ours');
  };
  const { id } = connect();
  say('echo\r\n');
  expect(server.told).toMatchObject([{ event: 'dropped', service: 'echo', connection: id, step: 'prepare' }]);
  expect([kernel.refuse.mock.calls, echo.gate.inUse, server.slots.server.inUse]).toEqual([[[FD]], 0, 0]);
  expectEnd();
});

test('a client that is ready and has said nothing is left alone for a second, and then heard', () => {
  offer({ name: 'echo' });
  connect();
  say('');
  expect([server.pollSet.watchers.size, kernel.readLine.mock.calls.length]).toEqual([0, 1]);
  jest.advanceTimersByTime(1_000);
  say('echo\r\n');
  expect([served.length, reasons()]).toEqual([1, []]);
  expectEnd();
});

test('a client that leaves nothing to be read is let go after 10 seconds too', () => {
  connect();
  say('');
  for (let second = 0; second < 10; second += 1) jest.advanceTimersByTime(1_000);
  expect(reasons()).toEqual(['silent']);
  expectEnd();
});

describe('with fewer than 32 descriptors left', () => {
  test('whoever comes takes the place of the one who has been silent for longest', () => {
    connect();
    connect(8 as Fd);
    free = 31;
    connect(9 as Fd);
    expect([kernel.refuse.mock.calls, reasons(), tcpmux.count]).toEqual([[[FD]], ['open-files'], 2]);
  });

  test('there is one client at a time, and always one', () => {
    free = 0;
    for (const fd of [7, 8, 9]) connect(fd as Fd);
    expect([kernel.refuse.mock.calls, tcpmux.count, mux.gate.inUse]).toEqual([[[7], [8]], 1, 1]);
  });

  test('who has sent a line by then gets the service, and who is silent is let go', () => {
    offer({ name: 'echo' });
    connect();
    unread = 'echo\r\n';
    free = 31;
    connect(8 as Fd);
    expect([served.map(({ fd }) => fd), reasons(), tcpmux.count]).toEqual([[FD], [], 1]);
  });

  test('others that find none get as many as they lack, and no more', () => {
    for (const fd of [7, 8, 9]) connect(fd as Fd);
    free = 30;
    tcpmux.makeRoom();
    expect([kernel.refuse.mock.calls, tcpmux.count]).toEqual([[[7], [8]], 1]);
  });

  test('one that is served, finds none and asks for room in its turn ends nobody twice', () => {
    offer({ name: 'echo' });
    for (const fd of [7, 8, 9]) connect(fd as Fd);
    unread = 'echo\r\n';
    serve = (): void => {
      tcpmux.makeRoom();
    };
    free = 29;
    tcpmux.makeRoom();
    expect([kernel.refuse.mock.calls, tcpmux.count, mux.gate.inUse, jest.getTimerCount()]).toEqual([
      [[8], [9]],
      0,
      0,
      0,
    ]);
  });

  test('one that rests is let go like the others', () => {
    connect();
    say('');
    free = 0;
    tcpmux.makeRoom();
    expect(reasons()).toEqual(['open-files']);
    expectEnd();
  });
});

describe('when the server leaves', () => {
  test('its clients are refused, and those of another service are heard', () => {
    const other = hostedService({ name: 'other' }, { handler: tcpmux });
    connect();
    tcpmux.take(server.connect(server.listen(other, tcp(2)), 8));
    tcpmux.endAll((hosted) => hosted === mux);
    expect([reasons(), tcpmux.count, mux.gate.inUse, other.gate.inUse]).toEqual([['stopping'], 1, 0, 1]);
  });

  test('whoever is accepted after that is refused at once', () => {
    tcpmux.endAll((hosted) => hosted === mux);
    const connection = connect();
    expect([reasons(), kernel.refuse.mock.calls, freed]).toEqual([['stopping'], [[connection.fd]], 1]);
    expectEnd();
  });

  test('a service that is not served any more is not available, though the talk goes on', () => {
    const echo = offer({ name: 'echo' });
    connect();
    tcpmux.endAll((hosted) => hosted === echo);
    say('echo\r\n');
    expect([served, heard, reasons()]).toEqual([[], '-Service not available\r\n', ['no-service']]);
    expectEnd();
  });
});
