// chat: people meet, over TCP and over UDP, and those who do not behave are no nuisance to the others.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { script, runOnPipes } from './harness';
import { asRoot, closeEverything, type End, handOver, Peer } from './sockets';
import { ownHost } from '../system/own-host';

/** Somebody in the room, whichever way. */
interface Guest {
  say: (text: string) => Promise<void>;
  /** The next line that the room says. */
  hear: () => Promise<string>;
  /** The room has seen this one out. */
  gone: () => Promise<void>;
}

interface Room {
  enter: () => Promise<Guest>;
  port: number;
  ended: Promise<End>;
}

const sockets: Socket[] = [];

afterEach(() => {
  closeEverything();
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function tcpGuest(port: number): Promise<Guest> {
  const socket = await connected(port);
  const closed = once(socket, 'close').then(() => undefined);
  const lines: AsyncIterator<string, unknown> = createInterface(socket)[Symbol.asyncIterator]();
  return {
    say: async (text) => {
      await new Promise((resolve) => socket.write(`${text}\n`, resolve));
    },
    hear: async () => {
      const next = await lines.next();
      return next.done === true ? 'the end' : next.value;
    },
    gone: () => closed,
  };
}

async function udpGuest(port: number): Promise<Guest> {
  const peer = await Peer.open();
  await peer.send('', port);
  return {
    say: (text) => peer.send(text, port),
    hear: async () => (await peer.next()).bytes.toString().replace(/\n$/, ''),
    gone: () => Promise.resolve(),
  };
}

async function openRoom(kind: 'tcp' | 'udp', ...options: string[]): Promise<Room> {
  const { port, ended } = await handOver(kind, '127.0.0.1', [...script('chat.py'), ...options]);
  return { port, ended, enter: () => (kind === 'tcp' ? tcpGuest(port) : udpGuest(port)) };
}

/** Guests 1, 2, …, who have all heard of each other. */
async function enterAll(room: Room, count: number): Promise<Guest[]> {
  const guests: Guest[] = [];
  for (let number = 1; number <= count; number++) {
    const guest = await room.enter();
    expect(await guest.hear()).toBe(`* you are guest${number}; /nick NAME, /who, /quit`);
    for (const other of guests) expect(await other.hear()).toBe(`* guest${number} is here`);
    guests.push(guest);
  }
  return guests;
}

async function enterTwo(room: Room): Promise<[Guest, Guest]> {
  return (await enterAll(room, 2)) as [Guest, Guest];
}

describe.each(['tcp', 'udp'] as const)('over %s', (kind) => {
  it('what one of three says, the two others read', async () => {
    const guests = await enterAll(await openRoom(kind), 3);
    for (const [index, speaker] of guests.entries()) {
      await speaker.say(`hello from ${index}`);
      for (const other of guests) {
        if (other !== speaker) expect(await other.hear()).toBe(`<guest${index + 1}> hello from ${index}`);
      }
    }
  });

  it('a name can be taken, is told to the others, and is used from then on', async () => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say('/nick ada');
    expect(await one.hear()).toBe('* you are ada');
    expect(await two.hear()).toBe('* guest1 is now ada');
    await one.say('hello');
    expect(await two.hear()).toBe('<ada> hello');
    await two.say('/who');
    expect(await two.hear()).toBe('* here: ada, guest2');
  });

  it.each(['', 'a b', 'x'.repeat(17), 'zwölf', '<ada>', '*', 'a\x1b'])('%j is no name', async (name) => {
    const [guest] = (await enterAll(await openRoom(kind), 1)) as [Guest];
    await guest.say(`/nick ${name}`);
    expect(await guest.hear()).toBe('* a name is 1 to 16 letters, digits, - or _');
  });

  it('nobody takes the name of another, in whatever case, but may change the case of his own', async () => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say('/nick GUEST2');
    expect(await one.hear()).toBe('* GUEST2 is taken');
    await two.say('/nick Guest2');
    expect(await two.hear()).toBe('* you are Guest2');
  });

  it('a new guest gets a name that is free', async () => {
    const room = await openRoom(kind);
    const [one] = (await enterAll(room, 1)) as [Guest];
    await one.say('/nick guest2');
    expect(await one.hear()).toBe('* you are guest2');
    const two = await room.enter();
    expect(await two.hear()).toMatch(/^\* you are guest1;/);
  });

  it('who quits hears goodbye, and the others are told', async () => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say('/quit');
    expect(await one.hear()).toBe('* goodbye');
    expect(await two.hear()).toBe('* guest1 has left');
    await one.gone();
  });

  it('an unknown command is explained and not passed on', async () => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say('/shout hello');
    expect(await one.hear()).toBe('* the commands are /nick NAME, /who and /quit');
    await one.say('aloud');
    expect(await two.hear()).toBe('<guest1> aloud');
  });

  it.each([
    ['escapes', '\x1b[2Jgone', '\\x1b[2Jgone'],
    ['a carriage return', 'a\rb', 'a\\rb'],
    ['a NUL and a bell', '\0\x07', '\\x00\\x07'],
    ['an override of direction', 'a\u202eb', 'a\\u202eb'],
    ['the end of a line, with CR LF', 'a\r', 'a'],
    ['letters of all scripts', 'zwölf € 十二 😀', 'zwölf € 十二 😀'],
    ['a long line', 'x'.repeat(1000), 'x'.repeat(400)],
  ])('%s: a terminal is safe from it', async (_what, said, heard) => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say(said);
    expect(await two.hear()).toBe(`<guest1> ${heard}`);
  });

  it('who talks without a pause is cut short and told once', async () => {
    const [one, two] = await enterTwo(await openRoom(kind));
    await one.say(Array.from({ length: 40 }, (_, index) => `line ${index}`).join('\n'));
    expect(await one.hear()).toBe('* too fast: that was not heard');
    await two.say('and now me');
    expect(await one.hear()).toBe('<guest2> and now me');
    for (let index = 0; index < 10; index++) expect(await two.hear()).toBe(`<guest1> line ${index}`);
  });

  it('a full room admits nobody, and somebody again when one has left', async () => {
    const room = await openRoom(kind);
    const guests = await enterAll(room, 64);
    expect(await (await room.enter()).hear()).toBe('* the room is full');
    await guests[0]?.say('/quit');
    expect(await guests[1]?.hear()).toBe('* guest1 has left');
    expect(await (await room.enter()).hear()).toMatch(/^\* you are guest1;/);
  });

  it('an empty room is closed after a while', async () => {
    const room = await openRoom(kind, '--idle', '0.2');
    const [guest] = (await enterAll(room, 1)) as [Guest];
    await guest.say('/quit');
    expect(await room.ended).toEqual({ status: 0, stderr: '' });
  });
});

describe('over TCP only', () => {
  it('a guest who hangs up, or is cut off, has left', async () => {
    const room = await openRoom('tcp');
    const [guest] = (await enterAll(room, 1)) as [Guest];
    for (const leave of ['destroy', 'resetAndDestroy'] as const) {
      const other = await connected(room.port);
      expect(await guest.hear()).toBe('* guest2 is here');
      other[leave]();
      expect(await guest.hear()).toBe('* guest2 has left');
    }
  });

  it('a line is heard whole, however it comes, and a last one without an end is not heard', async () => {
    const room = await openRoom('tcp');
    const [guest] = (await enterAll(room, 1)) as [Guest];
    const other = await connected(room.port);
    expect(await guest.hear()).toBe('* guest2 is here');
    other.write('one\ntw');
    expect(await guest.hear()).toBe('<guest2> one');
    other.end('o\nthree');
    expect(await guest.hear()).toBe('<guest2> two');
    expect(await guest.hear()).toBe('* guest2 has left');
  });
});

describe('over UDP only', () => {
  it('a guest who is silent for too long has left', async () => {
    const [one, two] = await enterTwo(await openRoom('udp', '--silent', '3'));
    const sign = setInterval(() => void two.say(''), 100); // an empty datagram says that he is still there
    expect(await two.hear()).toBe('* guest1 has left');
    clearInterval(sign);
    await one.say('back');
    expect(await one.hear()).toMatch(/^\* you are guest1;/);
  });

  it('what the room has said itself, and an echo sends back, is passed over', async () => {
    const room = await openRoom('udp');
    const [one, two] = await enterTwo(room);
    await one.say('* guest2 is here');
    await one.say('<guest2> hello');
    await one.say('<3 you all');
    expect(await two.hear()).toBe('<guest1> <3 you all');
  });

  it('who quits without being there stays outside', async () => {
    const room = await openRoom('udp');
    const [guest] = (await enterAll(room, 1)) as [Guest];
    await (await Peer.open()).send('/quit', room.port);
    await guest.say('/who');
    expect(await guest.hear()).toBe('* here: guest1');
  });

  asRoot('a source port below 1024 is no guest (needs root)', async () => {
    const room = await openRoom('udp');
    const low = await Peer.open(ownHost(), 1022);
    await low.send('hello', room.port, '127.0.0.1');
    const [guest] = (await enterAll(room, 1)) as [Guest];
    await guest.say('/who');
    expect(await guest.hear()).toBe('* here: guest1');
    expect(await low.everything()).toEqual([]);
  });
});

describe('chat-client.py', () => {
  it.each([
    ['tcp', []],
    ['udp', ['--udp']],
  ] as const)('takes part over %s, and says goodbye at the end of its input', async (kind, options) => {
    const room = await openRoom(kind);
    const [guest] = (await enterAll(room, 1)) as [Guest];
    const [program = '', ...args] = script('chat-client.py');
    const client = spawn(program, [...args, '127.0.0.1', String(room.port), ...options, '--nick', 'ada']);
    const shown = createInterface(client.stdout)[Symbol.asyncIterator]();
    const nextShown = async (): Promise<unknown> => (await shown.next()).value;

    expect(await guest.hear()).toBe('* guest2 is here');
    expect(await guest.hear()).toBe('* guest2 is now ada');
    expect(await nextShown()).toBe('* you are guest2; /nick NAME, /who, /quit');
    expect(await nextShown()).toBe('* you are ada');
    client.stdin.write('hello\n');
    expect(await guest.hear()).toBe('<ada> hello');
    await guest.say('hello, ada');
    expect(await nextShown()).toBe('<guest1> hello, ada');
    client.stdin.end('bye');
    expect(await guest.hear()).toBe('<ada> bye');
    expect(await guest.hear()).toBe('* ada has left');
    expect(await nextShown()).toBe('* goodbye');
    expect(await once(client, 'close')).toEqual([0, null]);
  });

  it('says so when nobody is there', async () => {
    const closed = await Peer.open(); // a port that TCP does not listen on
    const { stderr, status } = await runOnPipes([...script('chat-client.py'), '127.0.0.1', String(closed.port)], '');
    expect(stderr).toBe(`chat-client: 127.0.0.1 port ${closed.port}: Connection refused\n`);
    expect(status).toBe(1);
  });
});

it('chat.py says so when stdin is no socket of the right kind', async () => {
  expect(await runOnPipes(script('chat.py'), '')).toEqual({
    stdout: '',
    stderr: 'chat: stdin is neither a listening socket nor one for datagrams; the service needs "wait: true"\n',
    status: 1,
  });
});
