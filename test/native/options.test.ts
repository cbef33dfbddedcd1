/**
 * Every socket option that the configuration can set, read back with getsockopt by a program that was given the socket.
 */
import { type OptionValues, SOCKET_OPTIONS, type SocketOption, resetsOf } from '../../src/service/socket-options';
import { inFreshProcess } from './fresh-process';
import { IPV6, ROOT, testWith, tool } from './needs';

const PYTHON = tool('python3');

type Place = readonly [level: number, option: number];

interface Setting {
  readonly value: number | string;
  /** What the kernel says then; a text begins so. */
  readonly kept: number | string;
  /** Where it is on an IPv4 and on an IPv6 socket (asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h). */
  readonly ipv4: Place | null;
  readonly ipv6: Place;
}

const [SOCKET, IP, TCP, IP6] = [1, 0, 6, 41] as const;

function everywhere(place: Place, value: number | string, kept: number | string = value): Setting {
  return { value, kept, ipv4: place, ipv6: place };
}

const SETTINGS: Readonly<Record<SocketOption, Setting>> = {
  SO_BINDTODEVICE: everywhere([SOCKET, 25], 'lo'),
  SO_REUSEPORT: everywhere([SOCKET, 15], 1),
  SO_MARK: everywhere([SOCKET, 36], 4711),
  // The kernel doubles both for its own bookkeeping (socket(7)).
  SO_RCVBUF: everywhere([SOCKET, 8], 65536, 131072),
  SO_SNDBUF: everywhere([SOCKET, 7], 32768, 65536),
  IP_FREEBIND: { value: 1, kept: 1, ipv4: [IP, 15], ipv6: [IP6, 78] },
  IP_TRANSPARENT: { value: 1, kept: 1, ipv4: [IP, 19], ipv6: [IP6, 75] },
  // IPV6_TCLASS.
  IP_TOS: { value: 0x48, kept: 0x48, ipv4: [IP, 1], ipv6: [IP6, 67] },
  IPV6_V6ONLY: { value: 0, kept: 0, ipv4: null, ipv6: [IP6, 26] },
  TCP_KEEPIDLE: everywhere([TCP, 4], 61),
  TCP_KEEPINTVL: everywhere([TCP, 5], 7),
  TCP_KEEPCNT: everywhere([TCP, 6], 5),
  TCP_USER_TIMEOUT: everywhere([TCP, 18], 4711),
  // In whole retransmits: 1 + 2 seconds.
  TCP_DEFER_ACCEPT: everywhere([TCP, 9], 3),
  TCP_FASTOPEN: everywhere([TCP, 23], 16),
};

const NAMES = SOCKET_OPTIONS.map(({ name }) => name);
/** Those that a connection has because its listener has them. */
const INHERITED: readonly SocketOption[] = [
  'SO_MARK',
  'SO_RCVBUF',
  'SO_SNDBUF',
  'IP_TOS',
  'TCP_KEEPIDLE',
  'TCP_KEEPINTVL',
  'TCP_KEEPCNT',
  'TCP_USER_TIMEOUT',
];

const READ_ALL = `
import json
for name, (level, option), is_text in json.loads(sys.argv[2]):
    value = s.getsockopt(level, option, 16)
    tell(json.dumps([name, value.rstrip(b'\\0').decode() if is_text else struct.unpack('i', value)[0]]))`;

function questions(names: readonly SocketOption[], family: 'ipv4' | 'ipv6'): string {
  const known = names.map((name) => [name, SETTINGS[name][family], typeof SETTINGS[name].kept === 'string']);
  return JSON.stringify(known.filter(([, place]) => place !== null));
}

function answers(told: string): Record<string, number | string> {
  const lines = told.split('\n').filter(Boolean);
  return Object.fromEntries(lines.map((line) => JSON.parse(line) as [string, number | string]));
}

function expected(names: readonly SocketOption[], family: 'ipv4' | 'ipv6'): Record<string, number | string> {
  return Object.fromEntries(names.filter((name) => SETTINGS[name][family]).map((name) => [name, SETTINGS[name].kept]));
}

interface Question {
  readonly address: string;
  readonly type: 'stream' | 'datagram';
  readonly extra: OptionValues;
  readonly questions: string;
  readonly script: string;
}

/** @param later options that come with setListenerOptions, as a reload sets them */
async function readBack(question: Question, ...later: OptionValues[]): Promise<Record<string, number | string>> {
  const told = await inFreshProcess(
    async ({ addon, bind, internet, borrower, openReaper }, { address, type, extra, questions, script, later }) => {
      const ask = borrower(script, questions);
      openReaper();
      const { fd } = bind(internet(type, address), { extra });
      for (const values of later) {
        addon.setListenerOptions(fd, { backlog: 16, nodelay: false, keepalive: false, extra: values });
      }
      return (await ask(fd)).told;
    },
    { ...question, later },
  );
  return answers(told);
}

function valuesOf(names: readonly SocketOption[]): OptionValues {
  return Object.fromEntries(names.map((name) => [name, SETTINGS[name].value]));
}

function askListener(names: readonly SocketOption[], address: string, type: Question['type'] = 'stream'): Question {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  return { address, type, extra: valuesOf(names), questions: questions(names, family), script: READ_ALL };
}

testWith(ROOT, PYTHON)(
  'every option is set on an IPv4 listener, and what is for IPv6 alone is passed over',
  async () => {
    expect(await readBack(askListener(NAMES, '127.0.0.1'))).toEqual(expected(NAMES, 'ipv4'));
  },
);

testWith(
  ROOT,
  PYTHON,
  IPV6,
)('every option is set on an IPv6 listener, by its IPv6 number where it has one', async () => {
  expect(await readBack(askListener(NAMES, '::'))).toEqual(expected(NAMES, 'ipv6'));
});

testWith(ROOT, PYTHON)(
  'a reload can set every option on a listener that serves, but for those of its bind',
  async () => {
    const late = NAMES.filter((name) => name !== 'IPV6_V6ONLY');
    const plain = { ...askListener(late, '127.0.0.1'), extra: {} };
    expect(await readBack(plain, valuesOf(late))).toEqual(expected(late, 'ipv4'));
  },
);

async function takenBack(address: string): Promise<void> {
  const { values, stuck } = resetsOf(valuesOf(NAMES), {});
  const fresh = await readBack({ ...askListener(NAMES, address), extra: {} });
  const kept = expected(stuck, address.includes(':') ? 'ipv6' : 'ipv4');
  expect(await readBack(askListener(NAMES, address), values)).toEqual({ ...fresh, ...kept });
  expect(Object.keys(values).length + stuck.length).toBe(NAMES.length);
}

testWith(ROOT, PYTHON)('options that are taken back leave a listener as a new one is, but for those that stick', () =>
  takenBack('127.0.0.1'),
);

testWith(ROOT, PYTHON, IPV6)('they leave an IPv6 listener so too', () => takenBack('::'));

testWith(PYTHON, IPV6)('the type of service is the traffic class on an IPv6 socket', async () => {
  for (const type of ['stream', 'datagram'] as const) {
    expect(await readBack(askListener(['IP_TOS'], '::1', type))).toEqual({ IP_TOS: 0x48 });
  }
});

testWith(ROOT, PYTHON)('a datagram socket has every option that is not for TCP', async () => {
  const names = NAMES.filter((name) => !name.startsWith('TCP_'));
  expect(await readBack(askListener(names, '127.0.0.1', 'datagram'))).toEqual(expected(names, 'ipv4'));
});

testWith(ROOT, PYTHON)('what is accepted inherits what is for connections', async () => {
  const told = await inFreshProcess(
    async ({ listen, connect, accept, borrower, openReaper }, { extra, script, questions }) => {
      const ask = borrower(script, questions);
      openReaper();
      const { fd, port } = listen('127.0.0.1', { extra });
      const client = await connect(port);
      const { told } = await ask((await accept(fd)).fd);
      client.destroy();
      return told;
    },
    { ...askListener(INHERITED, '127.0.0.1') },
  );
  const { SO_SNDBUF: sent, ...rest } = expected(INHERITED, 'ipv4');
  const { SO_SNDBUF: actual, ...others } = answers(told);
  expect(others).toEqual(rest);
  expect(actual).toBe(sent);
});

testWith(IPV6)('an IPv6 wildcard that is told to serves IPv4 clients too', async () => {
  const peer = await inFreshProcess(async ({ listen, connect, accept }) => {
    const { fd, port } = listen('::', { extra: { IPV6_V6ONLY: 0 } });
    await connect(port, '127.0.0.1');
    return (await accept(fd)).peerAddress;
  });
  expect(peer).toBe('::ffff:127.0.0.1');
});

test('two listeners share a port when both say so, and only then', async () => {
  const seen = await inFreshProcess(({ bind, internet, listen, failureOf }) => {
    const extra = { SO_REUSEPORT: 1 };
    const { port } = listen('127.0.0.1', { extra });
    const same = internet('stream', '127.0.0.1', port);
    return [failureOf(() => bind(same, { extra })), failureOf(() => bind(same))?.['code']];
  });
  expect(seen).toEqual([null, 'EADDRINUSE']);
});

test('an address that the machine does not have can be bound in advance', async () => {
  const failure = await inFreshProcess(({ bind, internet, failureOf }) =>
    failureOf(() => bind(internet('stream', '192.0.2.1'), { extra: { IP_FREEBIND: 1 } })),
  );
  expect(failure).toBeNull();
});

test('an option that nobody knows is an error, as one that the kernel refuses, which is named', async () => {
  const seen = await inFreshProcess(({ listen, openFds, failureOf }) => {
    const failure = (extra: Record<string, number | string>): unknown => {
      const { code, syscall } = failureOf(() => listen('127.0.0.1', { extra })) ?? {};
      return [code, syscall];
    };
    const before = openFds();
    const failures = [failure({ SO_NONSENSE: 1 }), failure({ SO_BINDTODEVICE: 'no-such-device' })];
    return { failures, isClean: openFds().length === before.length };
  });
  expect(seen.failures).toEqual([
    ['ENOPROTOOPT', 'setsockopt'],
    ['ENODEV', 'SO_BINDTODEVICE'],
  ]);
  expect(seen.isClean).toBe(true);
});
