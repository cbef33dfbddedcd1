/**
 * The kinds of values that keys have: what is right, and for those that people write in other ways what to write.
 */
import { z } from 'zod';
import { CAPABILITY_NAMES, parseCapability } from '../../service/capabilities';
import { MOST_CREDENTIALS } from '../../service/credentials';
import { DURATION_PATTERN, LONGEST_DURATION_MS, parseDuration } from '../../service/duration';
import { parseCpus } from '../../service/scheduling';
import { nearestWord } from '../../service/nearest';
import { SIZE_PATTERN, parseSize } from '../../service/size';
import { STOP_SIGNAL_NAMES, parseStopSignal, whyNotHandled } from '../../service/stop-signal';
import { remedies } from './remedies';

/** One word of argv or of the environment (MAX_ARG_STRLEN, execve(2)), its ending NUL included. */
const LONGEST_WORD_BYTES = 131_072;

/** Buffers of sockets; the kernel caps them at net.core.rmem_max and wmem_max, and counts in an int. */
const LARGEST_BUFFER = 1024 ** 3;

/** MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL. */
const LONGEST_PROBE_SECONDS = 32_767;

export const text = z
  .string()
  .refine((value) => !value.includes('\0'), { error: 'a NUL character cannot be passed to a program' })
  .refine((value) => !/\p{Cs}/u.test(value), { error: 'half of a surrogate pair cannot be written as UTF-8' })
  .refine((value) => Buffer.byteLength(value) < LONGEST_WORD_BYTES, {
    error: `longer than the ${LONGEST_WORD_BYTES - 1} bytes that the kernel passes to a program`,
  });

export const nonEmpty = text.refine((value) => value !== '', { error: 'must not be empty' });

const portError = (issue: { input?: unknown }): string | undefined =>
  typeof issue.input === 'number' ? `port must be 0-65535, got ${issue.input}` : undefined;

export const port = z.int({ error: portError }).min(0, { error: portError }).max(65535, { error: portError });

export const address = z.union([port, z.string()]);

export const account = z.union([nonEmpty, z.int().min(0).max(0xfffffffe)]);

export const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
  error: 'not a name for a variable: letters, digits and "_", and no digit first',
});

export const duration = z
  .string()
  .regex(DURATION_PATTERN, { error: 'not a duration' })
  .refine((value) => (parseDuration(value) ?? 0) <= LONGEST_DURATION_MS, {
    error: 'longer than the longest duration, 24d',
  })
  .register(remedies, {
    remedy: (value) =>
      typeof value === 'number' ? `write ${value}s` : 'write a number and ms, s, m, h or d: 500ms, 30s, 10m',
  });

/** The kernel counts these in seconds. */
export const wholeSeconds = duration
  .refine((value) => (parseDuration(value) ?? 1000) % 1000 === 0, { error: 'not a whole number of seconds' })
  .refine((value) => (parseDuration(value) ?? 1000) >= 1000, { error: 'shorter than 1s' })
  .refine((value) => (parseDuration(value) ?? 0) <= LONGEST_PROBE_SECONDS * 1000, {
    error: `longer than ${LONGEST_PROBE_SECONDS}s`,
  });

export const someTime = duration.refine((value) => parseDuration(value) !== 0, { error: 'shorter than 1ms' });

export const size = z
  .union([
    z.int().min(1).max(LARGEST_BUFFER),
    z
      .string()
      .regex(SIZE_PATTERN, { error: 'not a size' })
      .refine((value) => (parseSize(value) ?? 1) >= 1, { error: 'not a size: at least 1' })
      .refine((value) => (parseSize(value) ?? 0) <= LARGEST_BUFFER, { error: 'larger than the largest size, 1G' }),
  ])
  .register(remedies, { remedy: () => 'write bytes, or a number and K, M or G: 64K, 10M' });

export const cpus = z
  .union([
    z.int().min(0),
    z.string().refine((value) => parseCpus(value) !== undefined, { error: 'not a list of CPUs' }),
  ])
  .register(remedies, { remedy: () => 'write numbers and ranges: "0-3,8"' });

/** What only a shell makes a path of. */
const SHELL_PATH = /^(~|\$)/;

const whole = text
  .refine((value) => !value.startsWith('~'), { error: 'no shell reads this: "~" would be the name of a folder' })
  .refine((value) => !value.startsWith('$'), { error: 'no shell reads this: "$" would be part of the name' });

export const path = whole
  .refine((value) => value !== '', { error: 'must not be empty' })
  .register(remedies, { remedy: (value) => (SHELL_PATH.test(String(value)) ? 'write the full path' : null) });

const CREDENTIAL_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;

export const credentials = z
  .record(
    z.string().regex(CREDENTIAL_NAME, { error: 'not the name of a file: letters, digits, "_", "-" and "."' }),
    path,
  )
  .refine((value) => Object.keys(value).length <= MOST_CREDENTIALS, {
    error: `more than ${MOST_CREDENTIALS} of them`,
  })
  .register(remedies, {
    remedy: (value) => {
      const [, name, file] = /^([^:]+):(.+)$/.exec(Array.isArray(value) ? String(value[0]) : '') ?? [];
      return name === undefined ? null : `write a map: {${name}: ${file}}`;
    },
  });

/** In a list of what would do. */
export const FILE_KIND = 'the path of a file, with a slash';

/** Names that a process has for what it has open: each child would drop its client, as a socket cannot be opened by them. */
const OWN_DESCRIPTOR = /^\/(dev\/(std(in|out|err)|fd\/.*|tty)|proc\/self\/fd\/.*)$/;

const stderrFile = whole
  .regex(/\//, { error: FILE_KIND, abort: true })
  .refine((value) => !/^(append|file|truncate):/.test(value), {
    error: 'the path stands alone here: what is written is always appended',
  })
  .refine((value) => !value.includes('%{'), {
    error: 'there are no placeholders here: all children of a service write to one file',
  })
  .refine((value) => !OWN_DESCRIPTOR.test(value), {
    error: 'that names what the program itself has open, and no file',
  });

export const stderr = z
  .union([z.enum(['socket', 'log', 'null']), z.null(), stderrFile])
  .register(remedies, { remedy: (value) => (typeof value === 'string' ? stderrRemedy(value) : 'write log') });

function stderrRemedy(value: string): string {
  if (SHELL_PATH.test(value)) return 'write the full path';
  if (value === 'stdout') return 'write socket: standard output is the connection';
  if (OWN_DESCRIPTOR.test(value) || /^(stderr|inherit|syslog|journal|kmsg|console|tty)/.test(value)) {
    return "write log: each line is an event, and events go to stdiod's own standard error";
  }
  if (value.includes('%{')) return 'write log: each line has its connection there';
  const file = value.replace(/^((append|file|truncate):|\d?>+ *)/, '').slice(0, 60);
  return file.includes('/') ? `write ${file}` : `a file beside this one: ./${file}`;
}

/** What is written into a file of proc(5) is one page at the most. */
const LONGEST_LABEL = 4000;

/** A name that the kernel knows a program under. */
export const label = nonEmpty
  .regex(/^[^\s\u0000-\u001f\u007f-\u009f]+$/, { error: 'must be one word' })
  .refine((value) => Buffer.byteLength(value) <= LONGEST_LABEL, { error: `longer than ${LONGEST_LABEL} bytes` });

export const capability = z
  .string()
  .refine((value) => parseCapability(value) !== undefined, { error: 'not a capability' })
  .register(remedies, {
    remedy: (value) => {
      const near = nearestWord(String(value).toLowerCase().replace(/^cap_/, ''), CAPABILITY_NAMES);
      return near === undefined ? 'capabilities(7) has their names' : `did you mean "${near}"?`;
    },
  });

export const stopSignal = z
  .string()
  .refine((value) => parseStopSignal(value) !== undefined, { error: 'not a signal to leave at' })
  .register(remedies, { remedy: (value) => stopSignalRemedy(String(value)) });

function stopSignalRemedy(value: string): string {
  const why = whyNotHandled(value);
  if (why !== null) return why;
  const near = nearestWord(value.toUpperCase().replace(/^SIG/, ''), STOP_SIGNAL_NAMES);
  return near === undefined ? 'by name: SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 …' : `did you mean "SIG${near}"?`;
}

/** YAML reads digits without quotes as a number. @param example what to write in place of what is no mode at all */
export function fileMode(example: string): z.ZodString {
  return z
    .string()
    .regex(/^0?[0-7]{1,3}$/, { error: 'not a mode of octal digits' })
    .register(remedies, {
      remedy: (_value, written) => {
        const [, digits] = /^0?o?([0-7]{1,3})$/.exec(written) ?? [];
        return `write the mode in quotes: "${digits === undefined ? example : digits.padStart(4, '0')}"`;
      },
    });
}

/** Values that people write as a list of `NAME=value`. */
export const variables = z.record(variableName, text).register(remedies, {
  remedy: (value) => {
    const [, name, text] = /^([A-Za-z_]\w*)=(.*)$/s.exec(Array.isArray(value) ? String(value[0]) : '') ?? [];
    return name === undefined ? null : `write a map: {${name}: ${JSON.stringify(text)}}`;
  },
});

/** `yes` is how xinetd asks for the user's own. */
export const accounts = z
  .array(account)
  .max(65536)
  .register(remedies, {
    remedy: (value) => {
      if (value === true || value === 'yes') return "leave it out: the user's own groups are the default";
      return value === false || value === 'no' ? 'write []' : null;
    },
  });
