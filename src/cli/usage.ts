/**
 * `stdiod help` and `stdiod help VERB`. docs/command-line.md is the long form; a test holds the two together.
 */
import { isVerb, VERBS, type Verb } from './arguments';

/** null: there is no such verb. */
export function usage(topic: string | null): string | null {
  if (topic === null) return GENERAL;
  return isVerb(topic) ? VERB_USAGE[topic] : null;
}

const GENERAL = `stdiod hosts any program that reads stdin and writes stdout as a network service.

  stdiod run    [-c FILE]             serve in the foreground until told to stop (the default verb)
  stdiod check  [-c FILE]             validate only: 0, or every problem and 78
  stdiod print  [-c FILE]             the effective configuration, defaults and paths filled in
  stdiod explain ADDRESS              may a client with this address come, and by which rule
  stdiod try    LISTEN -- COMMAND...  serve one command without a file; prints the YAML that it stands for
  stdiod schema                       the JSON Schema of the configuration, for editors
  stdiod version                      which stdiod this is
  stdiod help   [VERB]                this text, or more about one verb

Without -c: ./services.yaml, then ./config/services.yaml, then /etc/stdiod/services.yaml.
--json gives output (and the events of run and try) as JSON.

Exit status: 0 done, 1 the system failed us, 2 wrong usage, 78 the configuration is wrong.
`;

const FILE_OPTION = `  -c FILE, --config FILE  the configuration; the word FILE alone does the same. Without it the first that exists of
                          ./services.yaml, ./config/services.yaml and /etc/stdiod/services.yaml
`;
const HELP_OPTION = `  -h, --help              this text
`;

const VERB_USAGE: Record<Verb, string> = {
  run: `stdiod run [-c FILE] [--strict] [--json]

Serves in the foreground and reports events on stderr: in columns on a terminal, JSON lines elsewhere or with --json.
A service whose program, user or address is not there is unavailable, and tried again; the others are served.
With --strict everything has to be there, or nothing is started.

Options:
${FILE_OPTION}  --strict                start nothing unless everything can be served
  --json                  events as JSON lines, on a terminal too and whatever the file says
${HELP_OPTION}
Signals:
  HUP   read the file again; a bad file changes nothing. When the terminal is gone: as TERM
  TERM  accept no more, let children finish for stop_grace, then SIGTERM, then SIGKILL
  INT   the same; a second INT ends every child at once
  QUIT  ends every child at once
  USR1  one status event for each service
`,
  check: `stdiod check [-c FILE] [--json]

Says what is wrong with a configuration and exits with 78, or says on a terminal what was checked and exits with 0.

Options:
${FILE_OPTION}  --json                  problems as an array on stdout
${HELP_OPTION}`,
  print: `stdiod print [-c FILE] [--json]

Prints the configuration that stdiod would run: defaults filled in, programs and paths resolved. The output can be loaded.

Options:
${FILE_OPTION}  --json                  JSON in place of YAML
${HELP_OPTION}`,
  explain: `stdiod explain ADDRESS [--service NAME] [-c FILE] [--json]

Says what the file says of a client with this address: whether it may come, which rule decides, and how much of each service
it may have. ADDRESS is an IP address, or unix:uid=NUMBER for a user of this machine.

Options:
  -c FILE, --config FILE  the configuration. Without it the first that exists of ./services.yaml, ./config/services.yaml and
                          /etc/stdiod/services.yaml
  --service NAME          for this service alone
  --json                  an array on stdout
${HELP_OPTION}`,
  try: `stdiod try LISTEN [--json] -- COMMAND...

Serves one command until told to stop, and prints the YAML that does the same:
  stdiod try 127.0.0.1:7007 -- cat
LISTEN is a port or an address as in the configuration; port 0 lets the kernel choose, see the "listening" event. A port
alone is reachable at every address of this machine. No shell looks at the command: for a pipe, sh -c 'one | two'.

Options, before the --:
  --json                  events as JSON lines, on a terminal too
${HELP_OPTION}`,
  schema: `stdiod schema

Prints the JSON Schema (draft-7) of the configuration. Most editors use it after this first line of a YAML file:
  # yaml-language-server: $schema=./stdiod.schema.json
`,
  version: `stdiod version [--json]

Prints which stdiod this is; --version and -V as the first word do the same.

Options:
  --json                  an object that also tells Node's version and the platform
${HELP_OPTION}`,
  help: `stdiod help [VERB]

Prints a summary, or what there is to say about one verb: ${VERBS.join(', ')}.
`,
};
