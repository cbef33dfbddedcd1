/**
 * Whether a file is the configuration of another program: then one sentence says more than all that is wrong with it as YAML.
 */
import type { Problem } from '../report/problems';

export interface ForeignFile {
  readonly problem: Problem;
  /** Of the line that tells. */
  readonly offset: number;
}

const KINDS: readonly { readonly what: string; readonly line: RegExp }[] = [
  {
    what: 'an inetd.conf',
    line: /^[^\s#]\S*[ \t]+(?:stream|dgram|raw|rdm|seqpacket|sunrpc_\w+)[ \t]+\S+[ \t]+(?:no)?wait\S*[ \t]+\S+[ \t]+\S/m,
  },
  { what: 'a configuration of xinetd', line: /^[ \t]*(?:(?:service[ \t]+\S+|defaults)\s*\{|includedir[ \t]+\/)/m },
  { what: 'a unit of systemd', line: /^\[(?:Unit|Socket|Service|Install)\][ \t]*$/m },
];

/** Ours says one of these at the beginning of a line, or is JSON. */
const OURS = /^["']?(?:services|defaults|include|limits|log)["']?[ \t]*:/m;

/** undefined: it is not one that we know. */
export function foreignFile(text: string): ForeignFile | undefined {
  if (OURS.test(text) || text.trimStart().startsWith('{')) return undefined;
  for (const { what, line } of KINDS) {
    const offset = line.exec(text)?.index;
    if (offset !== undefined) return { problem: explain(what), offset };
  }
  return undefined;
}

function explain(what: string): Problem {
  const remedy =
    'write it as YAML: "Moving here from another super-server" in docs/operations.md says what each word is here';
  return { message: `this is ${what}, which stdiod does not read`, remedy };
}
