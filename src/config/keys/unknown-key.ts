/**
 * What to say about a key that we do not have: which one was meant, or where it belongs.
 */
import { nearestWord } from '../../service/nearest';
import type { Problem } from '../report/problems';
import { everydayWords, explainForeignKey, explainLogKey } from './foreign-keys';
import { DEFAULTS_KEYS, SERVICE_KEYS, TOP_KEYS } from './schema';

/** The kind of map that the key stands in. */
export type MapKind = 'top' | 'included' | 'service' | 'defaults' | 'log' | 'other';

export interface UnknownKey extends Problem {
  /** The key that was meant: its absence need not be told as well. */
  readonly meant?: string | undefined;
}

export function explainUnknownKey(key: string, kind: MapKind, known: readonly string[]): UnknownKey {
  const shown = key.length > 60 ? `${key.slice(0, 60)}…` : key;
  const message = `unknown key "${shown}"`;
  const elsewhere = explainMisplaced(key, kind) ?? (kind === 'log' ? explainLogKey(key) : undefined);
  if (elsewhere !== undefined) return { message, remedy: elsewhere };
  const foreign = isForServices(kind) ? explainForeignKey(key) : undefined;
  if (foreign !== undefined) return { message, remedy: foreign.sentence, meant: foreign.meant };
  const meant = meantKey(key, kind, known);
  if (meant !== undefined) return { message: `${message}; did you mean "${meant}"?`, remedy: null, meant };
  const remedy = kind === 'top' ? explainForeignTop(key) : undefined;
  if (remedy !== undefined) return { message, remedy };
  return { message, remedy: known.length === 0 ? null : `the keys here are ${known.join(', ')}` };
}

function isForServices(kind: MapKind): boolean {
  return kind === 'service' || kind === 'defaults';
}

/** Other files have at their top what is for all services here. */
function explainForeignTop(key: string): string | undefined {
  const foreign = explainForeignKey(key);
  if (foreign === undefined) return undefined;
  const { meant, sentence } = foreign;
  return meant !== undefined && DEFAULTS_KEYS.includes(meant) ? `${sentence} of a service, or of "defaults"` : sentence;
}

function explainMisplaced(key: string, kind: MapKind): string | undefined {
  if (kind === 'included' && TOP_KEYS.includes(key)) return `"${key}" belongs in the main file`;
  if (kind === 'defaults' && SERVICE_KEYS.includes(key)) return `every service says its own "${key}"`;
  if (kind === 'service' && TOP_KEYS.includes(key)) return `"${key}" belongs at the top of the file`;
  if (kind !== 'top' && kind !== 'included') return undefined;
  if (key === 'max_connections') return 'put it in "limits"; for all services, in "defaults"';
  if (DEFAULTS_KEYS.includes(key)) return `put it in a service, or in "defaults" for all of them`;
  return SERVICE_KEYS.includes(key) ? 'put it under "services:" and the name of a service' : undefined;
}

function meantKey(key: string, kind: MapKind, known: readonly string[]): string | undefined {
  const words = isForServices(kind) ? everydayWords() : new Map<string, string>();
  const candidates = [...known, ...words.keys()];
  const nearest = candidates.includes(key) ? key : nearestWord(key, candidates);
  return nearest === undefined ? undefined : (words.get(nearest) ?? nearest);
}
