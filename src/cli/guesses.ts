/**
 * What somebody may have meant by words that are none of ours: those of other tools, files, programs and addresses. Pure.
 */
import { shellQuoted } from '../config/report/shell-quoted';
import { nearestWord } from '../service/nearest';

/** What to do about a word that stands where a verb should. */
export function verbRemedy(word: string, rest: readonly string[], verbs: readonly string[]): string {
  return foreignVerb(word) ?? fileRemedy(word, rest) ?? nearVerb(word, verbs) ?? noVerb(word, rest);
}

/**
 * @param option as it was written, `--jason` or `-t`
 * @param own the names of the verb's options
 */
export function optionRemedy(option: string, own: readonly string[], verb: string): string {
  const meant = foreignOption(option);
  if (meant !== undefined) return meant;
  const name = option.replace(/^-+/, '');
  const isBegun = (each: string): boolean => name.length > 1 && each.startsWith(name);
  const near = own.find(isBegun) ?? (name.length > 1 ? nearestWord(name, own) : undefined);
  return near === undefined ? `see "stdiod help ${verb}"` : `did you mean "--${near}"?`;
}

export function isAddressLike(word: string): boolean {
  return /^\d+([-/]\w+)*$|^\S*:\d+([-/]\w+)*$|^(unix|vsock|fd)[\w-]*:/.test(word);
}

/** `stdiod try 7017 -- ./greet.py`. */
export function tryLine(listen: string, command: readonly string[]): string {
  return ['stdiod try', shellQuoted(listen), '--', ...command.map(shellQuoted)].join(' ');
}

export const TRY_ADDRESS = '127.0.0.1:7007';
export const TRY_EXAMPLE = tryLine(TRY_ADDRESS, ['cat']);

/** The only word of a command that was meant to be several, or a shell's; null: it may be a program. */
export function oneWordRemedy(listen: string, word: string): string | null {
  if (!/\s/.test(word) || /^[./]/.test(word)) return null;
  if (/[|&;<>$`(){}*?~]/.test(word)) return `let a shell run it: ${tryLine(listen, ['sh', '-c', word])}`;
  return `leave out the quotes: ${tryLine(listen, word.trim().split(/\s+/))}`;
}

function fileRemedy(word: string, rest: readonly string[]): string | undefined {
  if (/\.ya?ml$/i.test(word)) return `to serve what it says: stdiod run ${shellQuoted(word)}`;
  if (isAddressLike(word)) return `to serve one command: ${tryLine(word, rest.length > 0 ? rest : ['COMMAND'])}`;
  if (word.includes('/')) return `to serve this program: ${tryLine(TRY_ADDRESS, [word, ...rest])}`;
  return undefined;
}

function nearVerb(word: string, verbs: readonly string[]): string | undefined {
  const near = nearestWord(word, verbs);
  return near === undefined ? undefined : `did you mean "${near}"?`;
}

function noVerb(word: string, rest: readonly string[]): string {
  const help = 'see "stdiod help"';
  return rest.length === 0 ? help : `${help}; to serve a command: ${tryLine(TRY_ADDRESS, [word, ...rest])}`;
}

function foreignVerb(word: string): string | undefined {
  return FOREIGN_VERBS.find(([words]) => words.includes(word.toLowerCase()))?.[1];
}

function foreignOption(option: string): string | undefined {
  return FOREIGN_OPTIONS.find(([options]) => options.includes(option))?.[1];
}

const PID = '"pgrep -x stdiod" tells its PID';

const FOREIGN_VERBS: readonly (readonly [words: readonly string[], remedy: string])[] = [
  [
    ['start', 'serve', 'up', 'daemon'],
    'to serve: stdiod run, in the foreground; a service manager puts it in the background',
  ],
  [
    ['status', 'show', 'info', 'list', 'ls'],
    `"kill -USR1 PID" makes a running stdiod log the state of each service; ${PID}`,
  ],
  [['ps', 'top'], `"ps -f --ppid PID" shows the children of a running stdiod; ${PID}`],
  [
    ['reload', 'hup'],
    `"kill -HUP PID" makes a running stdiod read its file again, and its log says what came of it; ${PID}`,
  ],
  [
    ['restart'],
    `"kill -HUP PID" makes a running stdiod read its file again and loses nobody; "kill PID" stops it, to be started anew; ${PID}`,
  ],
  [
    ['stop', 'quit', 'exit', 'shutdown', 'drain', 'down'],
    `"kill PID" lets a running stdiod finish and stop, "kill -QUIT PID" ends everything at once; ${PID}`,
  ],
  [
    ['enable', 'disable'],
    'write "enabled: true" or "enabled: false" under the service, and send HUP ("kill -HUP PID")',
  ],
  [['kill'], 'every "accepted" event has the pid of its child: "kill PID" ends that one'],
  [['test', 'validate', 'verify', 'lint', 'configtest'], 'to look for mistakes: stdiod check [-c FILE]'],
  [['config', 'dump'], 'to see the configuration with its defaults: stdiod print [-c FILE]'],
  [['log', 'logs', 'events', 'tail'], 'events go to the stderr of "stdiod run"; those of a unit: journalctl -u stdiod'],
  [
    ['import', 'convert', 'migrate'],
    'the manual has the words of inetd and xinetd with ours beside them: docs/operations.md',
  ],
  [['init', 'new', 'create', 'exec'], `try a command, and keep the YAML that is printed: ${TRY_EXAMPLE}`],
  [['man', 'manual', 'usage'], 'see "stdiod help"'],
];

const FOREIGN_OPTIONS: readonly (readonly [options: readonly string[], remedy: string])[] = [
  [['-t', '-n', '--test', '--check', '--dry-run'], 'to look for mistakes: stdiod check [-c FILE]'],
  [['-v', '-V', '--version'], 'which stdiod this is: stdiod version; it always tells everything that it does'],
  [['-q', '--quiet', '--silent'], 'events go to stderr: 2>FILE keeps them elsewhere, 2>/dev/null nowhere'],
  [['--verbose', '--debug'], 'leave it out: stdiod tells everything that it does on stderr'],
  [
    ['-d', '-D', '-b', '--daemon', '--daemonize', '--background', '--detach'],
    'stdiod stays in the foreground and reports on stderr; a service manager puts it in the background',
  ],
  [['-i', '-F', '--foreground', '--no-daemon'], 'leave it out: stdiod always stays in the foreground'],
  [['-f', '--file'], 'name the file with -c FILE'],
  [
    ['-p', '-l', '--port', '--listen', '--address', '--bind'],
    `addresses stand in the file ("listen: 7007"); without a file: ${TRY_EXAMPLE}`,
  ],
  [['-u', '--user'], 'users stand in the file ("user: NAME" in a service)'],
  [['-j'], 'did you mean "--json"?'],
];
