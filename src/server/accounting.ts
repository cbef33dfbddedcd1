/**
 * Services with `accounts: full`: what the kernel tells of their children at their ends. Nothing is asked of it, and nothing noted of any
 * child, for as long as there is no such service.
 */
import type { ConnectionAccounts } from '../child/connection-accounts';
import type { Peaks } from '../child/peaks';
import type { Emit, LogEvent } from '../log/events';
import { addon } from '../native/addon';
import type { Service } from '../service/service';
import type { Watch } from './handlers/programs';

export interface AccountingParts {
  readonly accounts: Pick<ConnectionAccounts, 'begin' | 'end' | 'expect' | 'why'>;
  readonly peaks: Pick<Peaks, 'begin' | 'end' | 'expect' | 'why'>;
  readonly emit: Emit;
}

/** What `reaped` is without either. */
const WITHOUT = {
  accounts: 'reaped has no in, out, rtt and retransmits',
  peaks: 'reaped has an rss only where that is larger than stdiod',
} as const;

type Lacking = keyof typeof WITHOUT;

export class Accounting {
  readonly #parts: AccountingParts;

  constructor(parts: AccountingParts) {
    this.#parts = parts;
  }

  /** @param watch what is to be done about its sessions besides; null: nothing */
  watchFor(service: Service, watch: Watch | null): Watch | null {
    if (!isAsked(service)) return watch;
    const { accounts, peaks, emit } = this.#parts;
    for (const part of ['accounts', 'peaks'] as const) {
      const error = this.#parts[part].begin();
      if (error !== null) emit(failedFor(service.name, error, part));
    }
    return {
      questionOf: (connection) => watch?.questionOf(connection) ?? null,
      cookieOf: ({ fd }) => addon.cookieOf(fd),
      add: (child, question) => {
        peaks.expect(child.pid);
        if (child.owner.cookie !== undefined) accounts.expect(child.owner.cookie);
        watch?.add(child, question);
      },
    };
  }

  /** Nobody listens for so long. */
  onLost(part: Lacking, why: string, pauseMs: number): void {
    const failed = failedFor('-', why, part);
    this.#parts.emit({ ...failed, action: `${failed.action} for ${pauseMs / 1000} s` });
  }

  /** These are the services in force. */
  adopt(services: readonly Service[]): void {
    if (services.some(isAsked)) return;
    this.#parts.accounts.end();
    this.#parts.peaks.end();
  }

  /** What cannot be told of a service now, although it is to; undefined: nothing. */
  whyLacking(service: Service): string | undefined {
    const { accounts, peaks } = this.#parts;
    const reasons = [accounts.why, peaks.why].filter((why) => why !== null);
    return isAsked(service) && reasons.length > 0 ? reasons.join('; ') : undefined;
  }
}

function failedFor(service: string, error: string, part: Lacking): Extract<LogEvent, { event: 'failed' }> {
  return { event: 'failed', verb: 'watch', address: '-', service, error, action: WITHOUT[part] };
}

/** One child of a `wait` service has many connections, or none. */
function isAsked({ accounts, wait }: Service): boolean {
  return accounts === 'full' && !wait;
}
