/**
 * Whether the placeholders in a service's texts are ones that we know, and ones that its connections can fill in.
 */
import { type Placeholder, type TemplatePart, parseTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import type { Shape } from './conflicts';

/** Why some placeholders cannot be filled in here; null: all can. */
export type Refuse = (name: Placeholder) => Problem | null;

export interface WrittenText {
  readonly text: string;
  readonly path: Path;
  /** Where the character of the text stands in the value at the path; without it: at the same index. */
  readonly indexOf?: (offset: number) => number;
}

/** false: what is wrong is reported. */
export function checkTemplate({ text, path, indexOf }: WrittenText, refuse: Refuse, layers: Layers): boolean {
  const parts = parseTemplate(text);
  const fault = 'message' in parts ? parts : findRefused(parts, text, refuse);
  if (fault === undefined) return true;
  const { message, remedy, offset } = fault;
  layers.report(path, { message, remedy }, indexOf?.(offset) ?? offset);
  return false;
}

/** A child that accepts for itself has many peers, or none. */
export function refusePeer({ isWaiting, waitPath }: Shape, layers: Layers): Refuse {
  return (name) => {
    if (!isWaiting || !name.startsWith('peer.')) return null;
    const message = `%{${name}} has no meaning with "${String(waitPath[0])}" (${layers.where(waitPath)})`;
    return { message: `${message}: one child has many peers`, remedy: 'let the program ask the socket for each peer' };
  };
}

/** A program is found and checked when the file is loaded. */
export function refuseAny(name: Placeholder): Problem {
  const message = `the program cannot depend on the connection, as with %{${name}}`;
  return { message, remedy: 'write its name or path; placeholders may stand in the words after it' };
}

function findRefused(
  parts: readonly TemplatePart[],
  text: string,
  refuse: Refuse,
): (Problem & { offset: number }) | undefined {
  for (const part of parts) {
    const problem = typeof part === 'string' ? null : refuse(part.name);
    if (problem !== null && typeof part !== 'string') return { ...problem, offset: text.indexOf(`%{${part.name}}`) };
  }
  return undefined;
}
