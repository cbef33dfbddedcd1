/**
 * What stdiod itself says to clients: texts whose placeholders can be filled in.
 */
import type { Messages } from '../../service/service';
import type { Placeholder } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Problem } from '../report/problems';
import type { Shape } from './conflicts';
import { checkTemplate, type Refuse } from './templates';

const NONE: Messages = { admitted: null, refused: null };

/** Whatever `defaults` may say: a program that accepts by itself speaks for itself, and clients of tcpmux are asked for a name first. */
export function resolveMessages(
  { banner, refuse_message: refusal }: ServiceSettings,
  { isWaiting, run }: Shape,
  layers: Layers,
): Messages {
  if (isWaiting) return NONE;
  const refused = textOf(refusal, 'refuse_message', refuseForRefused, layers);
  return { admitted: run === 'tcpmux' ? null : textOf(banner, 'banner', refuseFd, layers), refused };
}

function textOf(text: string | undefined, key: string, refuse: Refuse, layers: Layers): string | null {
  if (text === undefined || !checkTemplate({ text, path: [key] }, refuse, layers)) return null;
  return text;
}

function refuseFd(name: Placeholder): Problem | null {
  if (name !== 'fd') return null;
  return { message: '%{fd} has no meaning to a client', remedy: 'remove it' };
}

function refuseForRefused(name: Placeholder): Problem | null {
  if (name !== 'connection') return refuseFd(name);
  return { message: '%{connection} has no meaning here: who is refused has no number', remedy: 'remove it' };
}
