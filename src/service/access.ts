/**
 * Who may come: how a rule of `allow` and `deny` is written, and all rules of a service as data that answers for any peer at once.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { findRange, type IpWords, maskWord, type Network, NOTHING, type RangeTable, rangeTable, readIp } from './ip';
import { clip, Malformed, orFault, quote, type TextFault } from './malformed';
import type { Peer } from './peer';

/** Whom a rule is about. */
export type Whom =
  | { readonly kind: 'network'; readonly family: 4 | 6; readonly words: readonly number[]; readonly prefix: number }
  | { readonly kind: 'uid'; readonly uid: number }
  /** Every client of a Unix socket, or of a vsock one, or of any. */
  | { readonly kind: 'unix' | 'vsock' | 'all' };

export interface Rule {
  readonly verb: 'allow' | 'deny';
  readonly whom: Whom;
  /** As it is shown to whoever asks which rule decides. */
  readonly text: string;
}

/** Values are the index of a rule, doubled, and 1 more where that allows; NOTHING: no rule says anything. */
export interface Access {
  /** Whether whoever no rule is about may come: nobody was allowed. */
  readonly isOpen: boolean;
  readonly ipv4: RangeTable;
  readonly ipv6: RangeTable;
  /** By user id. */
  readonly uids: RangeTable;
  readonly unix: number;
  readonly vsock: number;
  readonly all: number;
  /** The texts of the rules, a line each: one string costs little, however many there are. */
  readonly texts: string;
}

export interface AccessVerdict {
  readonly isAllowed: boolean;
  /** The rule that decides, as it was written; null: none is about the peer. */
  readonly rule: string | null;
}

const UID = /^unix:uid=(\d{1,10})$/;
/** The kernel's word for nobody is one more. */
const LAST_UID = 0xffff_fffe;

export function parseWhom(text: string): Whom | TextFault {
  return orFault(() => readWhom(text));
}

export function isWhom(parsed: Whom | TextFault): parsed is Whom {
  return 'kind' in parsed;
}

/** The canonical spelling: it parses to the same again. */
export function formatWhom(whom: Whom): string {
  if (whom.kind === 'uid') return `unix:uid=${whom.uid}`;
  if (whom.kind !== 'network') return whom.kind;
  const { family, words, prefix } = whom;
  const address = family === 4 ? ipv4Text(words[0] ?? 0) : ipv6Text(words);
  return prefix === bitsOf(family) ? address : `${address}/${prefix}`;
}

/** `deny` decides where both say the same. */
export function accessOf(rules: readonly Rule[]): Access {
  const denied = rules.map(({ verb }) => verb === 'deny');
  const order = [...rules.keys()].sort((a, b) => Number(denied[b]) - Number(denied[a]) || a - b);
  const said = order.flatMap((index) => {
    const rule = rules[index];
    return rule === undefined ? [] : [{ whom: rule.whom, value: 2 * index + Number(rule.verb === 'allow') }];
  });
  const ofKind = (kind: Whom['kind']): number => said.find(({ whom }) => whom.kind === kind)?.value ?? NOTHING;
  return {
    isOpen: !rules.some(({ verb }) => verb === 'allow'),
    ipv4: rangeTable(networksOf(said, 4), 4),
    ipv6: rangeTable(networksOf(said, 6), 6),
    uids: rangeTable(usersOf(said), 4),
    unix: ofKind('unix'),
    vsock: ofKind('vsock'),
    all: ofKind('all'),
    texts: rules.map(({ text }) => text).join('\n'),
  };
}

/** For a client that has just come: nothing is allocated for one of IPv4. */
export function isAllowed(access: Access, peer: Peer): boolean {
  const value = decide(access, peer);
  return value === NOTHING ? access.isOpen : value % 2 === 1;
}

/** The same, with the rule, for people. */
export function explainAccess(access: Access, peer: Peer): AccessVerdict {
  const value = decide(access, peer);
  const rule = value === NOTHING ? null : (access.texts.split('\n')[value >> 1] ?? null);
  return { isAllowed: isAllowed(access, peer), rule };
}

interface Said {
  readonly whom: Whom;
  readonly value: number;
}

function networksOf(said: readonly Said[], family: 4 | 6): Network[] {
  return said.flatMap(({ whom, value }) =>
    whom.kind === 'network' && whom.family === family ? [{ words: whom.words, prefix: whom.prefix, value }] : [],
  );
}

/** An id has as many bits as an IPv4 address. */
function usersOf(said: readonly Said[]): Network[] {
  return said.flatMap(({ whom, value }) => (whom.kind === 'uid' ? [{ words: [whom.uid], prefix: 32, value }] : []));
}

const scratch: IpWords = new Uint32Array(4);

function decide(access: Access, peer: Peer): number {
  const value = decideByFamily(access, peer);
  return value === NOTHING ? access.all : value;
}

function decideByFamily(access: Access, peer: Peer): number {
  if (peer.family === 'vsock') return access.vsock;
  if (peer.family === 'unix') return decideByUser(access, peer.credentials?.uid);
  return readIp(peer.address, scratch) === 4 ? findRange(access.ipv4, scratch) : findRange(access.ipv6, scratch);
}

/** @param uid of whom the kernel tells none, no rule about a user is about */
function decideByUser({ uids, unix }: Access, uid: number | undefined): number {
  if (uid === undefined) return unix;
  scratch[0] = uid;
  const value = findRange(uids, scratch);
  return value === NOTHING ? unix : value;
}

function readWhom(text: string): Whom {
  if (text === 'all' || text === 'unix' || text === 'vsock') return { kind: text };
  const uid = UID.exec(text)?.[1];
  if (uid !== undefined && Number(uid) <= LAST_UID) return { kind: 'uid', uid: Number(uid) };
  if (text.startsWith('unix:')) throw new Malformed(`${quote(text)} is not a user of a Unix socket`, USER_REMEDY);
  return readNetwork(text);
}

const USER_REMEDY = 'write unix:uid=NUMBER ("id -u NAME" tells the number), or "unix" for all of them';

function readNetwork(text: string): Whom {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const { family, words } = readAddress(text, address);
  const prefix = slash < 0 ? bitsOf(family) : readPrefix(text.slice(slash + 1), family, text);
  const masked = words.map((word, at) => maskWord(word, prefix - 32 * at));
  const whom: Whom = { kind: 'network', family, words: masked, prefix };
  if (masked.some((word, at) => word !== words[at])) throw noNetwork(text, whom);
  return whom;
}

function readAddress(text: string, address: string): { family: 4 | 6; words: readonly number[] } {
  const isV6 = isIPv6(address) && !address.includes('%');
  if (!isV6 && !isIPv4(address)) throw noAddress(text, address);
  const words = new Uint32Array(4);
  const family = readIp(address, words);
  if (isV6 && family === 4) throw mapped(text, words[0] ?? 0);
  return { family, words: [...words.subarray(0, family === 4 ? 1 : 4)] };
}

function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function readPrefix(text: string, family: 4 | 6, whole: string): number {
  const most = bitsOf(family);
  if (/^\d{1,3}$/.test(text) && Number(text) <= most) return Number(text);
  const prefix = prefixOfMask(text);
  if (family === 4 && prefix !== null) {
    const remedy = `write ${whole.slice(0, whole.indexOf('/'))}/${prefix}`;
    throw new Malformed(`${quote(whole)} has a mask in place of a number of bits`, remedy);
  }
  throw new Malformed(`${quote(whole)} is not a network`, `write how many bits count behind the slash, 0 to ${most}`);
}

/** `255.255.0.0` is 16; null: it is no mask. */
function prefixOfMask(text: string): number | null {
  if (!isIPv4(text)) return null;
  const words = new Uint32Array(4);
  readIp(text, words);
  const bits = (words[0] ?? 0).toString(2).padStart(32, '0');
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : null;
}

function noNetwork(text: string, whom: Whom): Malformed {
  return new Malformed(`${quote(text)} has bits behind its prefix`, `write ${formatWhom(whom)}`);
}

function mapped(text: string, number: number): Malformed {
  return new Malformed(`${quote(text)} is an IPv4 address`, `write ${ipv4Text(number)}, with the bits of IPv4`);
}

function noAddress(text: string, address: string): Malformed {
  const message = `${quote(text)} is neither an address nor a network`;
  const short = /^(\d{1,3}(?:\.\d{1,3}){0,2})\.?$/.exec(address)?.[1];
  if (short !== undefined) {
    const parts = short.split('.');
    const network = [...parts, '0', '0', '0'].slice(0, 4).join('.');
    if (isIPv4(network)) return new Malformed(message, `write ${network}/${8 * parts.length}`);
  }
  if (/^\[.*\]$/.test(address)) return new Malformed(message, `write ${address.slice(1, -1)} without brackets`);
  if (/^all$/i.test(text)) return new Malformed(message, 'write all');
  if (text.includes('-')) return new Malformed(message, 'ranges are written as networks: 10.0.0.0/29');
  if (/:\d+$/.test(address) && isIPv4(address.replace(/:\d+$/, '')))
    return new Malformed(message, `write ${clip(address.replace(/:\d+$/, ''))}: clients come from any port`);
  return new Malformed(
    message,
    'names are not looked up: write an IP address, a network (10.0.0.0/8), unix:uid=NUMBER or all',
  );
}

function ipv4Text(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

function ipv6Text(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
