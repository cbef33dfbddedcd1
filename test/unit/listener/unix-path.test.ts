/**
 * Unix sockets with a path, on a file system of their own: what may be taken, what must stay, what is left behind.
 */
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassedSockets } from '../../../src/listener/passed';
import type { ListeningSocket } from '../../../src/listener/socket';
import { Sockets } from '../../../src/listener/sockets';
import { setPathAccess } from '../../../src/listener/unix-path';
import { ACCEPT_FIELDS, addon, type Fd } from '../../../src/native/addon';
import type { SocketAddress, UnixAddress } from '../../../src/service/address';
import type { SocketOptions } from '../../../src/service/service';
import { sampleSocketOptions } from '../service/sample';

const LONGEST = 107;

let folder: string;
let path: string;
let bound: ListeningSocket[];
const sockets = new Sockets(PassedSockets.fromEnvironment({}));

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'stdiod-test-'));
  [path, bound] = [join(folder, 'socket'), []];
});

afterEach(() => {
  jest.restoreAllMocks();
  for (const socket of bound) sockets.close(socket);
  fs.rmSync(folder, { recursive: true });
});

function at(socketPath: string, type: UnixAddress['type'] = 'stream'): UnixAddress {
  return { family: 'unix', type, path: socketPath };
}

function open(address: SocketAddress, options: Partial<SocketOptions> = {}): ListeningSocket {
  const socket = sockets.open(address, sampleSocketOptions(options));
  bound.push(socket);
  return socket;
}

function close(socket: ListeningSocket): void {
  bound = bound.filter((other) => other !== socket);
  sockets.close(socket);
}

/** The path of a socket that nobody has any more. */
function makeStale(type: UnixAddress['type']): number {
  addon.close(addon.openListener(at(path, type), sampleSocketOptions()).fd);
  return fs.lstatSync(path).ino;
}

function modeOf(file: string): number {
  return fs.lstatSync(file).mode & 0o7777;
}

function openFds(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

test('a live socket is never stolen', () => {
  const first = open(at(path));
  const { ino } = fs.lstatSync(path);
  expect(() => open(at(path))).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }) as Error);
  expect(fs.lstatSync(path).ino).toBe(ino);
  expect(addon.whoListens(at(path))).toBe(0);
  expect(first.address).toEqual(at(path));
});

test('a live socket of another type is somebody’s too', () => {
  open(at(path, 'datagram'));
  expect(() => open(at(path, 'stream'))).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }) as Error);
});

describe('a socket that gives way to another one of ours', () => {
  test('has its path again when nobody has taken it', () => {
    const socket = open(at(path));
    const { ino } = fs.lstatSync(path);
    sockets.giveWay(socket, true);
    expect(fs.existsSync(path)).toBe(false);
    sockets.giveWay(socket, false);
    expect([fs.readdirSync(folder), fs.lstatSync(path).ino]).toEqual([['socket'], ino]);
  });

  test('leaves it to the other one, and nothing behind', () => {
    const socket = open(at(path));
    sockets.giveWay(socket, true);
    open(at(path, 'seqpacket'));
    const { ino } = fs.lstatSync(path);
    sockets.giveWay(socket, false);
    close(socket);
    expect([fs.readdirSync(folder), fs.lstatSync(path).ino]).toEqual([['socket'], ino]);
  });

  test('moves nothing that is not its own', () => {
    const socket = open(at(path));
    fs.renameSync(path, `${path}.away`);
    fs.writeFileSync(path, 'precious');
    for (const isGiven of [true, false]) sockets.giveWay(socket, isGiven);
    expect(fs.readFileSync(path, 'utf8')).toBe('precious');
    expect(fs.readdirSync(folder)).toEqual(['socket', 'socket.away']);
  });
});

test.each(['stream', 'datagram', 'seqpacket'] as const)('a stale socket is replaced: %s', (type) => {
  makeStale(type);
  expect(addon.whoListens(at(path, type))).toBe(constants.errno.ECONNREFUSED);
  open(at(path, type));
  expect(addon.whoListens(at(path, type))).toBe(0);
  expect(fs.readdirSync(folder)).toEqual(['socket']);
});

test.each<[string, () => void]>([
  [
    'a file',
    () => {
      fs.writeFileSync(path, 'precious');
    },
  ],
  [
    'a folder',
    () => {
      fs.mkdirSync(path);
    },
  ],
  [
    'a link to a socket',
    () => {
      fs.symlinkSync('elsewhere', path);
    },
  ],
  [
    'a link to nothing',
    () => {
      fs.symlinkSync('/no/such/file', path);
    },
  ],
])('%s is no socket and is never touched', (_what, make) => {
  open(at(join(folder, 'elsewhere')));
  make();
  const before = fs.lstatSync(path);
  expect(() => open(at(path))).toThrow(expect.objectContaining({ code: 'EEXIST' }) as Error);
  expect(fs.lstatSync(path)).toMatchObject({ ino: before.ino, mode: before.mode, size: before.size });
  expect(fs.readdirSync(folder).sort()).toEqual(['elsewhere', 'socket']);
});

test('the socket has its mode from the configuration, or as the umask has it', () => {
  const before = process.umask(0o027);
  try {
    open(at(path));
    open(at(join(folder, 'private')), { mode: 0o600 });
    open(at(join(folder, 'public')), { mode: 0o666 });
  } finally {
    expect(process.umask(before)).toBe(0o027);
  }
  expect([path, join(folder, 'private'), join(folder, 'public')].map(modeOf)).toEqual([0o750, 0o600, 0o666]);
});

test('nobody can connect before the socket has its mode and owner', () => {
  const { setOwner } = addon;
  const seen: number[] = [];
  jest.spyOn(addon, 'setOwner').mockImplementation((file, uid, gid) => {
    seen.push(addon.whoListens(at(path)), modeOf(path));
    setOwner(file, uid, gid);
  });
  open(at(path), { mode: 0o666, group: fs.lstatSync(folder).gid });
  expect(seen).toEqual([constants.errno.ECONNREFUSED, 0o666]);
  expect(addon.whoListens(at(path))).toBe(0);
});

test('what is changed is the file that was compared, whatever stands at the path a moment later', () => {
  const socket = open(at(path), { mode: 0o600 });
  const precious = join(folder, 'precious');
  fs.writeFileSync(precious, '', { mode: 0o600 });
  const { factsOf } = addon;
  jest.spyOn(addon, 'factsOf').mockImplementationOnce((file) => {
    const there = factsOf(file);
    fs.renameSync(path, join(folder, 'moved'));
    fs.symlinkSync(precious, path);
    return there;
  });
  setPathAccess(socket, sampleSocketOptions({ mode: 0o666 }));
  expect([modeOf(precious), modeOf(join(folder, 'moved'))]).toEqual([0o600, 0o666]);
});

test('a link at the path is not followed', () => {
  const socket = open(at(path), { mode: 0o600 });
  const precious = join(folder, 'precious');
  fs.writeFileSync(precious, '', { mode: 0o600 });
  fs.unlinkSync(path);
  fs.symlinkSync(precious, path);
  expect(() => {
    setPathAccess(socket, sampleSocketOptions({ mode: 0o666 }));
  }).not.toThrow();
  expect(modeOf(precious)).toBe(0o600);
});

test('a socket that turns out to be somebody’s when it is moved aside goes back', () => {
  makeStale('stream');
  const { renameIn } = addon;
  let theirs = 0;
  jest.spyOn(addon, 'renameIn').mockImplementation((...move) => {
    fs.unlinkSync(path);
    bound.push(sockets.open(at(path), sampleSocketOptions()));
    theirs = fs.lstatSync(path).ino;
    renameIn(...move);
  });
  expect(() => open(at(path))).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }) as Error);
  expect([fs.lstatSync(path).ino, fs.readdirSync(folder)]).toEqual([theirs, ['socket']]);
  expect(addon.whoListens(at(path))).toBe(0);
});

describe('a folder above the socket’s that somebody else puts another one in the place of', () => {
  let run: string;
  let victim: string;

  beforeEach(() => {
    [run, victim] = [join(folder, 'run'), join(folder, 'victim')];
    for (const made of [run, victim]) fs.mkdirSync(made);
    path = join(run, 'socket');
  });

  /** Before the call does what it does, for once. */
  function swapBefore(name: 'removeOurs' | 'renameIn'): void {
    fs.writeFileSync(join(victim, 'socket'), 'precious');
    const call = addon[name] as (...values: unknown[]) => void;
    jest.spyOn(addon, name).mockImplementationOnce((...values: unknown[]) => {
      fs.renameSync(run, `${run}.away`);
      fs.symlinkSync(victim, run);
      call(...values);
    });
  }

  test('keeps what is in it when ours is removed', () => {
    const socket = open(at(path));
    swapBefore('removeOurs');
    close(socket);
    expect([fs.readdirSync(victim), fs.readdirSync(`${run}.away`)]).toEqual([['socket'], []]);
  });

  test('keeps what is in it when ours steps aside and back', () => {
    const socket = open(at(path));
    swapBefore('renameIn');
    for (const isGiven of [true, false]) sockets.giveWay(socket, isGiven);
    expect([fs.readdirSync(victim), fs.readdirSync(`${run}.away`)]).toEqual([['socket'], ['socket']]);
    expect(fs.readFileSync(join(victim, 'socket'), 'utf8')).toBe('precious');
  });

  test('keeps what is in it when a stale one is replaced, and nothing is served', () => {
    makeStale('stream');
    swapBefore('renameIn');
    expect(() => open(at(path))).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }) as Error);
    expect(fs.readFileSync(join(victim, 'socket'), 'utf8')).toBe('precious');
  });
});

test('one that stepped aside has its path again where the file system has no links', () => {
  const socket = open(at(path));
  jest.spyOn(addon, 'linkIn').mockImplementation(() => {
    throw Object.assign(new Error('link'), { code: 'EPERM', syscall: 'link' });
  });
  for (const isGiven of [true, false]) sockets.giveWay(socket, isGiven);
  expect([fs.readdirSync(folder), addon.whoListens(at(path))]).toEqual([['socket'], 0]);
});

test('one that is closed while it is aside leaves nothing behind', () => {
  const socket = open(at(path));
  sockets.giveWay(socket, true);
  expect(fs.readdirSync(folder)).not.toEqual([]);
  close(socket);
  expect(fs.readdirSync(folder)).toEqual([]);
});

const testAsRoot = process.getuid?.() === 0 ? test : test.skip;
/** Whom the kernel tells which file a socket is bound to; root in a container may be somebody else. */
const testAsNetAdmin = hasCapability(12) ? testAsRoot : test.skip;

function hasCapability(number: number): boolean {
  const [, mask = '0'] = /^CapEff:\s*(\w+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(number)) & 1n) === 1n;
}

testAsRoot('the socket has the owner and the group of the configuration, each by itself', () => {
  open(at(path), { owner: 4711, group: 4712 });
  open(at(join(folder, 'group')), { group: 4712 });
  const ownersOf = (file: string): number[] => [fs.lstatSync(file).uid, fs.lstatSync(file).gid];
  expect([ownersOf(path), ownersOf(join(folder, 'group'))]).toEqual([
    [4711, 4712],
    [0, 4712],
  ]);
});

testAsNetAdmin('another socket that is put in its place before it has its owner is not given away', () => {
  const other = join(folder, 'other');
  open(at(other), { mode: 0o600 });
  const { openListener } = addon;
  jest.spyOn(addon, 'openListener').mockImplementationOnce((...how) => {
    const opened = openListener(...how);
    fs.renameSync(path, `${path}.away`);
    fs.linkSync(other, path);
    return opened;
  });
  const before = openFds();
  expect(() => open(at(path), { mode: 0o666, owner: 4711 })).toThrow(
    expect.objectContaining({ code: 'EADDRINUSE' }) as Error,
  );
  expect([fs.lstatSync(other).uid, modeOf(other), openFds()]).toEqual([0, 0o600, before]);
  expect([fs.readdirSync(folder), addon.whoListens(at(path))]).toEqual([['other', 'socket', 'socket.away'], 0]);
});

test('a path that is gone as soon as it is bound leaves no descriptor behind', () => {
  const { openListener } = addon;
  jest.spyOn(addon, 'openListener').mockImplementationOnce((...how) => {
    const opened = openListener(...how);
    fs.unlinkSync(path);
    return opened;
  });
  const before = openFds();
  expect(() => open(at(path), { mode: 0o666 })).toThrow();
  expect(openFds()).toBe(before);
});

test('when its owner cannot be set there is neither a socket nor a descriptor left', () => {
  const before = openFds();
  jest.spyOn(addon, 'setOwner').mockImplementation(() => {
    throw Object.assign(new Error('refused'), { code: 'EPERM', syscall: 'chown' });
  });
  expect(() => open(at(path), { group: fs.lstatSync(folder).gid })).toThrow('refused');
  expect([fs.readdirSync(folder), openFds()]).toEqual([[], before]);
});

test('at the end the path is removed', () => {
  close(open(at(path)));
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('at the end a path that is somebody else’s by now stays theirs', () => {
  const first = open(at(path));
  fs.unlinkSync(path);
  open(at(path));
  close(first);
  expect(addon.whoListens(at(path))).toBe(0);
});

test('a listener on its way out has no path any more, and goes on serving its queue', async () => {
  const socket = open(at(path));
  const client = connect(path);
  await new Promise((resolve) => client.once('connect', resolve));
  sockets.holdOff(socket);
  expect(fs.existsSync(path)).toBe(false);
  const numbers = new Int32Array(ACCEPT_FIELDS);
  expect(addon.accept(socket.fd, numbers)).toBe(`\0${path}`);
  const [fd, , , pid] = numbers;
  expect(pid).toBe(process.pid);
  addon.close(fd as Fd);
  client.destroy();
});

test('the path can be bound anew while the old listener is still on its way out', () => {
  const old = open(at(path));
  sockets.holdOff(old);
  open(at(path));
  close(old);
  expect(addon.whoListens(at(path))).toBe(0);
});

/** A folder below ours, whose path has so many bytes. */
function folderOf(bytes: number): string {
  const deep = join(folder, 'x'.repeat(bytes - folder.length - 1));
  fs.mkdirSync(deep);
  return deep;
}

test.each([1, 2, 20, 50])('a path of 107 bytes is bound, whatever the length of its last name: %i', (length) => {
  const longest = join(folderOf(LONGEST - 1 - length), 's'.repeat(length));
  expect(Buffer.byteLength(longest)).toBe(LONGEST);
  open(at(longest));
  expect(addon.whoListens(at(longest))).toBe(0);
});

test('a folder that does not exist is an error that is told', () => {
  expect(() => open(at(join(folder, 'no/such/folder')))).toThrow(expect.objectContaining({ code: 'ENOENT' }) as Error);
});

test('options for the other sockets of the service are not for this one', () => {
  const extra = { TCP_KEEPIDLE: 60, IP_TOS: 8, SO_RCVBUF: 65536 };
  open(at(path), { nodelay: true, keepalive: true, extra });
  open(at(`@stdiod-test-options-${process.pid}`), { nodelay: true, keepalive: true, extra });
  expect(addon.whoListens(at(path))).toBe(0);
});

test('a path gets another mode while it is ours, and is left alone when it is not', () => {
  const socket = open(at(path), { mode: 0o600 });
  sockets.change(socket, sampleSocketOptions({ mode: 0o660 }));
  expect(modeOf(path)).toBe(0o660);
  fs.unlinkSync(path);
  fs.writeFileSync(path, 'somebody else’s', { mode: 0o640 });
  sockets.change(socket, sampleSocketOptions({ mode: 0o606 }));
  expect(modeOf(path)).toBe(0o640);
});

test('what is no longer said of a path is as it comes by itself', () => {
  const socket = open(at(path), { mode: 0o606 });
  sockets.change(socket, sampleSocketOptions());
  const umask = process.umask(0);
  process.umask(umask);
  expect(modeOf(path)).toBe(0o777 & ~umask);
});

testAsRoot('a path that changes hands is open to nobody in between', () => {
  const socket = open(at(path), { mode: 0o600, owner: 0, group: 60 });
  const seen: string[] = [];
  const look = (): void => {
    const { mode, gid } = fs.lstatSync(path);
    seen.push(`${(mode & 0o777).toString(8)} ${gid}`);
  };
  const { setMode, setOwner } = addon;
  jest.spyOn(addon, 'setMode').mockImplementation((file, mode) => {
    setMode(file, mode);
    look();
  });
  jest.spyOn(addon, 'setOwner').mockImplementation((file, uid, gid) => {
    setOwner(file, uid, gid);
    look();
  });
  sockets.change(socket, sampleSocketOptions({ mode: 0o660, owner: 0, group: 2 }));
  expect(seen).toEqual(['600 60', '600 2', '660 2']);
  sockets.change(socket, sampleSocketOptions({ mode: 0o600 }));
  expect(seen.slice(3)).toEqual(['600 2', `600 ${process.getegid?.()}`, `600 ${process.getegid?.()}`]);
});
