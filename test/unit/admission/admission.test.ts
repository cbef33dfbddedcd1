/** What is asked of a client beside a slot, and that what it is counted by goes when its slot does. */
import { Admission } from '../../../src/admission/admission';
import { peerName } from '../../../src/admission/peer-name';
import { isFull, serviceGate, Slots, type Gate, type Slot } from '../../../src/admission/slots';
import { accessOf, isWhom, parseWhom } from '../../../src/service/access';
import { OPEN, type AdmissionRules } from '../../../src/service/admission';
import type { Peer } from '../../../src/service/peer';

let slots: Slots;
let gate: Gate;
let nowMs: number;

beforeEach(() => {
  [slots, gate, nowMs] = [new Slots(100), serviceGate(50), 1_000_000];
});

function ip(address: string, port = 1): Peer {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port };
}

function unix(uid: number | null): Peer {
  return { family: 'unix', path: '', credentials: uid === null ? null : { pid: 1, uid, gid: 1 } };
}

function admission(rules: Partial<AdmissionRules>): Admission {
  const made = Admission.of({ ...OPEN, ...rules });
  if (made === null) throw new Error('nothing is asked');
  return made;
}

function take(): Slot {
  const slot = slots.take(gate);
  if (isFull(slot)) throw new Error(slot.full.whenFull);
  return slot;
}

/** `in`, or why not; who is not admitted gives the slot back. */
function come(by: Admission, peer: Peer): string {
  const slot = take();
  const refusal = by.refusalOf(peer, slot, nowMs);
  if (refusal === null) return 'in';
  slots.putBack(slot);
  return `${refusal.reason} ${refusal.limit ?? '-'}`;
}

test('a service that asks for nothing has nobody who asks', () => {
  expect(Admission.of(OPEN)).toBeNull();
});

test('a peer has so many children and no more, others have theirs', () => {
  const by = admission({ maxPerPeer: 2 });
  const peers = [ip('10.0.0.1', 1), ip('10.0.0.1', 2), ip('10.0.0.1', 3), ip('10.0.0.2'), ip('10.0.0.1', 4)];
  expect(peers.map((peer) => come(by, peer))).toEqual(['in', 'in', 'peer-limit 2', 'in', 'peer-limit 2']);
  expect([gate.inUse, [...gate.peers]]).toEqual([
    3,
    [
      ['10.0.0.1', 2],
      ['10.0.0.2', 1],
    ],
  ]);
});

test('when a child ends its peer may have another one, and who has none is not remembered', () => {
  const by = admission({ maxPerPeer: 1 });
  const slot = take();
  expect(by.refusalOf(ip('10.0.0.1'), slot, nowMs)).toBeNull();
  expect(come(by, ip('10.0.0.1'))).toBe('peer-limit 1');
  slots.release(slot);
  expect([gate.peers.size, gate.inUse]).toEqual([0, 0]);
  expect(come(by, ip('10.0.0.1'))).toBe('in');
});

test('a connection that was counted under another prefix gives that back', () => {
  const slot = take();
  expect(admission({ maxPerPeer: 5, peerPrefix: { v4: 8, v6: 64 } }).refusalOf(ip('10.0.0.1'), slot, nowMs)).toBeNull();
  const by = admission({ maxPerPeer: 1 });
  expect(come(by, ip('10.0.0.1'))).toBe('in');
  slots.release(slot);
  expect([...gate.peers]).toEqual([['10.0.0.1', 1]]);
});

test('who may not come is refused first, and counted nowhere', () => {
  const whom = parseWhom('10.0.0.0/8');
  if (!isWhom(whom)) throw new Error(whom.message);
  const by = admission({ access: accessOf([{ verb: 'deny', whom, text: '' }]), maxPerPeer: 1 });
  expect([come(by, ip('10.0.0.1')), come(by, ip('10.0.0.1')), come(by, ip('11.0.0.1'))]).toEqual([
    'address -',
    'address -',
    'in',
  ]);
  expect([...gate.peers.keys()]).toEqual(['11.0.0.1']);
});

test('outside its hours nobody is served, and the time zone is asked once in a minute', () => {
  const times = { hours: [{ days: 0b111_1111, from: 600, to: 660, zone: 'UTC' }], fromMs: null, untilMs: null };
  let wallMs = Date.UTC(2026, 10, 22, 9, 59, 59);
  const by = Admission.of({ ...OPEN, times }, () => wallMs);
  const asked = jest.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts');
  const answers = [0, 500, 1000, 30_000, 3_600_000].map((ms) => {
    wallMs += ms;
    return by === null ? '' : come(by, ip('10.0.0.1'));
  });
  expect([answers, asked.mock.calls.length]).toEqual([['hours -', 'hours -', 'in', 'in', 'hours -'], 3]);
  asked.mockRestore();
});

describe('a rate', () => {
  const rate = { count: 3, perMs: 1000 };

  test('of all clients is that of the service, whoever comes', () => {
    const by = admission({ rate });
    const peers = ['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => ip(address));
    expect(peers.map((peer) => come(by, peer))).toEqual(['in', 'in', 'in', 'rate 3']);
    nowMs += 334;
    expect([come(by, ip('10.0.0.4')), come(by, ip('10.0.0.4'))]).toEqual(['in', 'rate 3']);
  });

  test('of one peer is no affair of the others', () => {
    const by = admission({ ratePerPeer: rate });
    const peers = ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2'].map((address) => ip(address));
    expect(peers.map((peer) => come(by, peer))).toEqual(['in', 'in', 'in', 'peer-rate 3', 'in']);
  });

  test('recovers by itself, however many were refused meanwhile', () => {
    const by = admission({ rate, ratePerPeer: rate });
    for (let at = 0; at < 500; at += 1) come(by, ip('10.0.0.1'));
    nowMs += 1000;
    expect([1, 2, 3, 4].map(() => come(by, ip('10.0.0.1')))).toEqual(['in', 'in', 'in', 'peer-rate 3']);
  });

  test('takes nothing from a peer whom the service’s refuses, and nothing from the service for a peer’s', () => {
    const by = admission({ rate: { count: 1, perMs: 1000 }, ratePerPeer: { count: 1, perMs: 60_000 } });
    expect([come(by, ip('10.0.0.1')), come(by, ip('10.0.0.2'))]).toEqual(['in', 'rate 1']);
    nowMs += 1000;
    expect([come(by, ip('10.0.0.1')), come(by, ip('10.0.0.2'))]).toEqual(['peer-rate 1', 'in']);
  });

  test('who is refused holds no slot, and is not counted', () => {
    const by = admission({ rate, maxPerPeer: 10 });
    for (let at = 0; at < 10; at += 1) come(by, ip('10.0.0.1'));
    expect([gate.inUse, [...gate.peers]]).toEqual([3, [['10.0.0.1', 3]]]);
  });

  test('says how long the next client has to wait, where clients may', () => {
    const by = admission({ rate, whenLimited: 'wait' });
    expect(by.waitMs(nowMs)).toBe(0);
    for (let at = 0; at < 3; at += 1) come(by, ip('10.0.0.1'));
    expect(by.waitMs(nowMs)).toBeCloseTo(333.33, 1);
    expect(by.waitMs(nowMs + 334)).toBe(0);
    expect(admission({ rate }).waitMs(nowMs)).toBe(0);
  });
});

describe('as one peer count', () => {
  const name = (peer: Peer, v4 = 32, v6 = 64): string => peerName(peer, { v4, v6 });

  test.each([
    ['10.0.0.1', '10.0.0.1', 32, true],
    ['10.0.0.1', '10.0.0.2', 32, false],
    ['10.0.0.1', '10.0.0.254', 24, true],
    ['10.0.0.1', '10.0.1.1', 24, false],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', 24, true],
  ])('%s and %s by %d bits: %s', (one, other, bits, areSame) => {
    expect(name(ip(one), bits) === name(ip(other), bits)).toBe(areSame);
  });

  test.each([
    ['2001:db8::1', '2001:db8::2', 64, true],
    ['2001:db8::1', '2001:db8:0:1::1', 64, false],
    ['2001:db8:0:1::1', '2001:db8:0:f::1', 56, true],
    ['2001:db8::1', '2001:db8::2', 128, false],
    ['fe80::1%eth0', 'fe80::2%eth0', 64, false],
  ])('%s and %s by %d bits: %s', (one, other, bits, areSame) => {
    expect(name(ip(one), 32, bits) === name(ip(other), 32, bits)).toBe(areSame);
  });

  test('all clients of a Unix socket that a user has, and all of a virtual machine', () => {
    expect([name(unix(7)), name(unix(7))]).toEqual(['unix:7', 'unix:7']);
    expect([name(unix(8)) === name(unix(7)), name(unix(null)) === name(unix(0))]).toEqual([false, false]);
    expect(name({ family: 'vsock', address: '3', port: 5 })).toBe(name({ family: 'vsock', address: '3', port: 6 }));
  });
});
