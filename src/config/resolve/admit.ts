/**
 * Who may come in: from `allow`, `deny` and the files that they name to one table, and how much of a service one peer may have.
 */
import { resolve } from 'node:path';
import { formatWhom, isWhom, parseWhom, type Rule, type Whom } from '../../service/access';
import { type AdmissionRules, OPEN } from '../../service/admission';
import type { Layers } from '../keys/layers';
import { parseDuration } from '../../service/duration';
import { isHours, parseDate, parseHours, type Times } from '../../service/hours';
import { parseRate, type Rate } from '../../service/rate';
import { ACCESS_KEYS, type ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import type { Shape } from './conflicts';
import { type RuleFile, type RuleFiles, ruleListsOf } from './rule-files';

/** Of one peer, where the file says nothing: many for a person, few for a service. */
const ORDINARY_SHARE = 100;

/** The settings as they hold, for `print`. */
export interface EffectiveAdmission {
  readonly max_per_peer?: number;
  readonly peer_prefix?: { readonly v4: number; readonly v6: number };
  readonly rate?: string;
  readonly when_limited?: 'refuse' | 'wait';
  readonly rate_per_peer?: string;
  readonly hours?: string | readonly string[];
  readonly from?: string;
  readonly until?: string;
  readonly first_byte_timeout?: string;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly allow_from?: readonly string[];
  readonly deny_from?: readonly string[];
}

export interface ResolvedAdmission {
  readonly rules: AdmissionRules;
  readonly effective: EffectiveAdmission;
}

export function resolveAdmission(
  settings: ServiceSettings,
  shape: Shape,
  machine: Machine,
  layers: Layers,
): ResolvedAdmission {
  if (shape.isWaiting) return resolveWaiting(settings, shape, layers);
  const files = { allow: filesOf(settings, 'allow', layers), deny: filesOf(settings, 'deny', layers) };
  const access = hasRules(settings) ? ruleListsOf(machine).accessOf(writtenRules(settings), files, layers) : null;
  const share = settings.max_per_peer ?? ordinaryShare(settings.max_connections);
  // tcpmux has a time of its own for the line that it waits for.
  const silence = shape.run === 'tcpmux' ? undefined : settings.first_byte_timeout;
  return {
    rules: {
      ...limitsOf(settings, share),
      access,
      times: timesOf(settings, layers),
      firstByteMs: parseDuration(silence ?? '') ?? null,
    },
    effective: {
      max_per_peer: share,
      ...describeLimits(settings),
      ...describeTimes(settings),
      ...(silence === undefined ? {} : { first_byte_timeout: silence }),
      ...describeRules(settings, files),
    },
  };
}

/** A built-in over UDP counts its clients by itself. */
function resolveWaiting(settings: ServiceSettings, { isDatagram, run }: Shape, layers: Layers): ResolvedAdmission {
  reportUnkept(settings, layers);
  const perPeer = run === 'builtin' && isDatagram ? settings.rate_per_peer : undefined;
  return { rules: OPEN, effective: perPeer === undefined ? {} : { rate_per_peer: perPeer } };
}

function timesOf({ hours = [], from, until }: ServiceSettings, layers: Layers): Times | null {
  const [fromMs, untilMs] = [parseDate(from ?? '', false) ?? null, parseDate(until ?? '', true) ?? null];
  const parsed = [hours].flat().map(parseHours).filter(isHours);
  if (fromMs !== null && untilMs !== null && untilMs <= fromMs) {
    const message = `"until" is not after "from" (${layers.where(['from'])})`;
    layers.report(['until'], { message, remedy: 'write a later date' });
  }
  return parsed.length === 0 && fromMs === null && untilMs === null ? null : { hours: parsed, fromMs, untilMs };
}

function describeTimes({ hours, from, until }: ServiceSettings): EffectiveAdmission {
  return {
    ...(hours === undefined ? {} : { hours }),
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
  };
}

type Limits = Omit<AdmissionRules, 'access' | 'firstByteMs' | 'times'>;

function limitsOf(settings: ServiceSettings, share: number): Limits {
  return {
    maxPerPeer: share >= settings.max_connections ? null : share,
    peerPrefix: settings.peer_prefix,
    rate: rateOf(settings.rate),
    ratePerPeer: rateOf(settings.rate_per_peer),
    whenLimited: settings.when_limited,
  };
}

function describeLimits(settings: ServiceSettings): EffectiveAdmission {
  const { peer_prefix: prefix, rate, when_limited: whenLimited, rate_per_peer: perPeer } = settings;
  return {
    peer_prefix: prefix,
    ...(rate === undefined ? {} : { rate, when_limited: whenLimited }),
    ...(perPeer === undefined ? {} : { rate_per_peer: perPeer }),
  };
}

/** One peer alone never has a whole service, unless that is of one child. */
export function ordinaryShare(maxConnections: number): number {
  return Math.max(1, Math.min(ORDINARY_SHARE, maxConnections - 1));
}

function rateOf(text: string | undefined): Rate | null {
  return (text === undefined ? null : parseRate(text)) ?? null;
}

function hasRules({
  allow,
  deny = [],
  allow_from: allowFrom = [],
  deny_from: denyFrom = [],
}: ServiceSettings): boolean {
  return allow !== undefined || [deny, allowFrom, denyFrom].some(({ length }) => length > 0);
}

function filesOf(settings: ServiceSettings, verb: Rule['verb'], layers: Layers): RuleFile[] {
  const key = `${verb}_from` as const;
  const files = settings[key] ?? [];
  const isList = Array.isArray(files);
  return [files].flat().map((file, index) => {
    const at = isList ? [key, index] : [key];
    return { file: resolve(layers.folderOf(at), file), at };
  });
}

/** What is no rule is not there: the schema has told it. */
function writtenRules({ allow = [], deny = [] }: ServiceSettings): Rule[] {
  const rulesOf = (verb: Rule['verb'], texts: readonly string[]): Rule[] =>
    canonical(texts).map(({ whom, text }) => ({ verb, whom, text: `${verb} ${text}` }));
  return [...rulesOf('allow', allow), ...rulesOf('deny', deny)];
}

function canonical(texts: readonly string[]): { readonly whom: Whom; readonly text: string }[] {
  return texts.flatMap((text) => {
    const whom = parseWhom(text);
    return isWhom(whom) ? [{ whom, text: formatWhom(whom) }] : [];
  });
}

function describeRules({ allow, deny }: ServiceSettings, files: RuleFiles): EffectiveAdmission {
  const written = (texts: readonly string[]): string[] => canonical(texts).map(({ text }) => text);
  const [allowFrom, denyFrom] = [files.allow, files.deny].map((each) => each.map(({ file }) => file));
  return {
    ...(allow === undefined ? {} : { allow: written(allow) }),
    ...(deny === undefined || deny.length === 0 ? {} : { deny: written(deny) }),
    ...(allowFrom === undefined || allowFrom.length === 0 ? {} : { allow_from: allowFrom }),
    ...(denyFrom === undefined || denyFrom.length === 0 ? {} : { deny_from: denyFrom }),
  };
}

/**
 * A program that accepts by itself asks nobody. To leave its service open without a word, because the rules are those of `defaults`,
 * would be the worst of all.
 */
function reportUnkept(settings: ServiceSettings, layers: Layers): void {
  for (const key of ACCESS_KEYS) {
    if (settings[key] === undefined || saysNothing(key, settings)) continue;
    const whose = layers.isOwn([key]) ? '' : ` of the defaults (${layers.where([key])})`;
    const message = `"${key}"${whose} cannot be kept: the program of this service takes from the socket what it wants`;
    const remedy = `let a firewall decide, and write "${EVERYBODY[key]}" in the service`;
    if (whose === '') layers.reportKey([key], { message, remedy }, [key]);
    else layers.reportKey([], { message, remedy }, []);
  }
}

type AccessKey = (typeof ACCESS_KEYS)[number];

const EVERYBODY: Readonly<Record<AccessKey, string>> = {
  allow: 'allow: [all]',
  deny: 'deny: []',
  allow_from: 'allow_from: []',
  deny_from: 'deny_from: []',
};

function saysNothing(key: AccessKey, settings: ServiceSettings): boolean {
  const value = settings[key];
  return Array.isArray(value) && (key === 'allow' ? value.every((text) => text === 'all') : value.length === 0);
}
