/**
 * Keys that other programs have: whose word it is, and what to write here. With it a file carried over from there says itself
 * what to do. The words are in `foreign-words`.
 */
import { ABSENT, type Advice, COMPOSE, EVERYDAY, LOG, SYSTEMD, type Words, XINETD } from './foreign-words';
import { SERVICE_KEYS } from './schema';
import { socketSchema } from './socket-keys';

export interface Foreign {
  /** A sentence with the remedy. */
  readonly sentence: string;
  /** The key of ours that was meant, if one was. */
  readonly meant?: string;
}

/** undefined: not a word that we know from elsewhere. */
export function explainForeignKey(key: string): Foreign | undefined {
  const word = key.toLowerCase();
  const found = ownersOf(key).find(([, words]) => Object.hasOwn(words, word));
  if (found !== undefined) return sentenceOf(`"${key}" is ${found[0]}'s word: `, found[1][word] ?? '');
  return Object.hasOwn(ABSENT, word) ? sentenceOf('', ABSENT[word] ?? '') : undefined;
}

/** The same for a key of `log`. */
export function explainLogKey(key: string): string | undefined {
  const word = key.toLowerCase();
  return Object.hasOwn(LOG, word) ? sentenceOf('', LOG[word] ?? '').sentence : undefined;
}

/** Everyday words for our keys, and keys of `socket` that stand outside of it; they also stand in for their own misspellings. */
export function everydayWords(): ReadonlyMap<string, string> {
  const ofSocket = Object.keys(socketSchema.shape).filter((key) => !SERVICE_KEYS.includes(key));
  return new Map([...Object.entries(EVERYDAY), ...ofSocket.map((key) => [key, `socket.${key}`] as const)]);
}

type Owned = readonly [owner: string, words: Words];

const [OF_XINETD, OF_SYSTEMD, OF_COMPOSE]: readonly [Owned, Owned, Owned] = [
  ['xinetd', XINETD],
  ['systemd', SYSTEMD],
  ['docker compose', COMPOSE],
];

/** Some words are in several tables; how a word is spelt tells whose it is. `maxConnections` is nobody's but a typing error. */
function ownersOf(key: string): readonly Owned[] {
  if (/^[a-z].*[A-Z]/.test(key)) return [];
  return /^[A-Z]/.test(key) ? [OF_SYSTEMD, OF_XINETD] : [OF_XINETD, OF_COMPOSE, OF_SYSTEMD];
}

function sentenceOf(start: string, advice: Advice): Foreign {
  if (typeof advice === 'string') return { sentence: start + advice };
  const [meant = ''] = advice.key.split('.');
  return { sentence: `${start}put ${advice.what} in "${advice.key}"`, meant };
}
