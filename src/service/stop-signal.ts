/**
 * The signals that can ask a program to leave: those that it can handle (signal(7)), by name.
 */

const NAMES = [
  'SIGTERM',
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGABRT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGPROF',
  'SIGPIPE',
  'SIGCHLD',
  'SIGURG',
  'SIGWINCH',
  'SIGIO',
  'SIGPWR',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGTRAP',
  'SIGILL',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGSYS',
] as const;

export type StopSignal = (typeof NAMES)[number];

export const DEFAULT_STOP_SIGNAL: StopSignal = 'SIGTERM';

/** Without SIG. */
export const STOP_SIGNAL_NAMES: readonly string[] = NAMES.map((name) => name.slice('SIG'.length));

/** With or without SIG, in any letter case; undefined: none that a program can handle. */
export function parseStopSignal(text: string): StopSignal | undefined {
  const name = fullName(text);
  return NAMES.find((each) => each === name);
}

/** Why a signal is none for a program to leave at; null: it is one, or no signal at all. */
export function whyNotHandled(text: string): string | null {
  return UNHANDLED.get(fullName(text)) ?? null;
}

const UNHANDLED: ReadonlyMap<string, string> = new Map([
  ['SIGKILL', 'no program can handle it: it comes after "stop_grace" anyway'],
  ['SIGSTOP', 'no program can handle it, and who is stopped does not leave'],
  ['SIGCONT', 'it lets a program that was stopped go on: it goes along with each of them'],
]);

function fullName(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith('SIG') ? name : `SIG${name}`;
}
