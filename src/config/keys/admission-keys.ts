/**
 * The keys that say who may come in, and how much of a service one peer may have.
 */
import { z } from 'zod';
import { isWhom, parseWhom } from '../../service/access';
import { PEER_PREFIX } from '../../service/admission';
import { isHours, parseDate, parseHours } from '../../service/hours';
import { parseRate } from '../../service/rate';
import { remedies } from './remedies';
import { nonEmpty, path, someTime } from './values';

/** Longer lists stand in files of their own. */
const MOST_RULES = 4096;
const MOST_FILES = 100;

const whom = nonEmpty
  .refine((value) => isWhom(parseWhom(value)), {
    error: (issue) => {
      const parsed = parseWhom(String(issue.input));
      return isWhom(parsed) ? '' : parsed.message;
    },
  })
  .register(remedies, {
    remedy: (value) => {
      const parsed = typeof value === 'string' ? parseWhom(value) : null;
      return parsed === null || isWhom(parsed) ? 'write an address or a network' : parsed.remedy;
    },
  });

const files = z.union([path, z.array(path).max(MOST_FILES)]).optional();

export const accessKeys = {
  allow: z
    .array(whom)
    .min(1)
    .max(MOST_RULES)
    .optional()
    .describe('Who may come: addresses, networks, `unix:uid=NUMBER`, `unix`, `vsock` or `all`. Without it: everybody.'),
  deny: z
    .array(whom)
    .max(MOST_RULES)
    .optional()
    .describe('Who may not. The most specific rule decides; of two that are the same `deny`.'),
  allow_from: files.describe('Files with more rules of `allow`, one on each line.'),
  deny_from: files.describe('The same for `deny`.'),
};

/** What a new connection takes at once. */
const LONGEST_MESSAGE = 4096;

const message = nonEmpty.refine((value) => Buffer.byteLength(value) <= LONGEST_MESSAGE, {
  error: `longer than the ${LONGEST_MESSAGE} bytes that a new connection takes at once`,
});

export const messageKeys = {
  banner: message.optional().describe('What a client is sent that is admitted, before its program starts.'),
  refuse_message: message
    .optional()
    .describe('What a client is sent that is refused. Without it: nothing, and it sees an end.'),
};

const MOST_HOURS = 50;

const hours = nonEmpty
  .refine((value) => isHours(parseHours(value)), {
    error: (issue) => {
      const parsed = parseHours(String(issue.input));
      return isHours(parsed) ? '' : parsed.message;
    },
  })
  .register(remedies, { remedy: hoursRemedy });

function hoursRemedy(value: unknown): string | null {
  const parsed = typeof value === 'string' ? parseHours(value) : null;
  return parsed === null || isHours(parsed) ? 'write hours such as "Mon-Fri 08:00-18:00"' : parsed.remedy;
}

function date(isEnd: boolean): z.ZodOptional<z.ZodString> {
  return z
    .string()
    .refine((value) => parseDate(value, isEnd) !== undefined, { error: 'not a date' })
    .register(remedies, { remedy: () => 'write 2026-12-24, or with a time: "2026-12-24 18:00"' })
    .optional();
}

export const openKeys = {
  hours: z
    .union([hours, z.array(hours).min(1).max(MOST_HOURS)])
    .register(remedies, { remedy: hoursRemedy })
    .optional()
    .describe(
      'When clients may come: `Mon-Fri 08:00-18:00 Europe/Berlin`, or a list of such. Without it: at any hour.',
    ),
  from: date(false).describe(
    'Clients may not come before that: `2026-12-24`, `2026-12-24 18:00`, `2026-12-24T18:00:00Z`.',
  ),
  until: date(true).describe('Nor from then on; of a day alone its end is meant.'),
};

export const firstByteKeys = {
  first_byte_timeout: someTime
    .optional()
    .describe(
      'No process is started before the client has sent something; if that takes longer it is refused. Without it: one is started at once.',
    ),
};

const MOST_CHILDREN = 4_194_304;

const rate = z
  .string()
  .refine((value) => parseRate(value) !== undefined, { error: 'not a rate' })
  .register(remedies, {
    remedy: (value) =>
      typeof value === 'number' ? `write ${value}/s` : 'write a number and a time: 50/s, 300/m, 1000/10s',
  })
  .optional();

export const rateKeys = {
  rate: rate.describe('How often clients may come, all together: `50/s`, `300/m`, `1000/10s`. Without it: as they do.'),
  when_limited: z
    .enum(['refuse', 'wait'])
    .default('refuse')
    .describe('What happens to those beyond `rate`: `refuse` them, or let them `wait` in the queue of the kernel.'),
};

/** A built-in over UDP knows it too. */
export const peerRateKeys = {
  rate_per_peer: rate.describe('How often clients of one peer may come; more are refused. Without it: as they do.'),
};

export const peerKeys = {
  max_per_peer: z
    .int()
    .min(1)
    .max(MOST_CHILDREN)
    .optional()
    .describe('Most children of one peer; more are refused. Without it: 100, and always less than `max_connections`.'),
  peer_prefix: z
    .strictObject({
      v4: z.int().min(1).max(32).default(PEER_PREFIX.v4).describe('Of IPv4.'),
      v6: z.int().min(1).max(128).default(PEER_PREFIX.v6).describe('Of IPv6.'),
    })
    .prefault({})
    .describe('How many bits of an address tell one peer from another.'),
};
