/**
 * `stdiod help` and `stdiod help VERB`. docs/command-line.md is the long form; a test holds the two together.
 */
import { isVerb, type Verb } from './arguments';

/** null: there is no such verb. */
export function usage(topic: string | null): string | null {
  if (topic === null) return GENERAL;
  return isVerb(topic) ? VERB_USAGE[topic] : null;
}

const GENERAL = `stdiod hosts any program that reads stdin and writes stdout as a network service.

  stdiod run    [-c FILE]             serve in the foreground until told to stop (the default verb)
  stdiod check  [-c FILE]             validate only: silent and 0, or every problem and 78
  stdiod print  [-c FILE]             the effective configuration, defaults and paths filled in
  stdiod try    LISTEN -- COMMAND...  serve one command without a file; prints the YAML that it stands for
  stdiod schema                       the JSON Schema of the configuration, for editors
  stdiod version                      which stdiod this is
  stdiod help   [VERB]                this text, or more about one verb

Without -c: ./services.yaml, then ./config/services.yaml, then /etc/stdiod/services.yaml.
--json gives output (and the events of run and try) as JSON.

Exit status: 0 done, 1 the system failed us, 2 wrong usage, 78 the configuration is wrong.
`;

const VERB_USAGE: Record<Verb, string> = {
  run: `stdiod run [-c FILE] [--json]

Serves in the foreground and reports events on stderr: aligned text on a terminal, JSON lines else or with --json.

Signals:
  HUP   read the file again; a bad file changes nothing. When the terminal is gone: as TERM
  TERM  accept no more, let children finish for stop_grace, then SIGTERM, then SIGKILL
  INT   the same; a second INT ends every child at once
  QUIT  ends every child at once
  USR1  one status event for each service
`,
  check: `stdiod check [-c FILE] [--json]

Prints nothing and exits with 0, or prints every problem (with --json: as an array on stdout) and exits with 78.
`,
  print: `stdiod print [-c FILE] [--json]

Prints the configuration that stdiod would run: defaults filled in, programs and paths resolved. The output can be loaded.
`,
  try: `stdiod try LISTEN -- COMMAND... [--json before the --]

Serves one command until told to stop, and prints the YAML that does the same:
  stdiod try 127.0.0.1:7007 -- tr a-z A-Z
LISTEN is a port or an address as in the configuration; port 0 lets the kernel choose, see the "listening" event.
`,
  schema: `stdiod schema

Prints the JSON Schema (draft-7) of the configuration. Most editors use it after this first line of a YAML file:
  # yaml-language-server: $schema=./stdiod.schema.json
`,
  version: `stdiod version [--json]\n`,
  help: `stdiod help [VERB]\n`,
};
