/**
 * Services with `accounts: full`: what the kernel tells of their children's connections. Nothing is asked of it, and of no connection is
 * anything noted, for as long as there is no such service.
 */
import type { ConnectionAccounts } from '../child/connection-accounts';
import type { Emit } from '../log/events';
import { addon } from '../native/addon';
import type { Service } from '../service/service';
import type { Watch } from './handlers/programs';

/** What `reaped` lacks. */
export const LACKING = 'reaped has no in, out, rtt and retransmits';

export class Accounting {
  readonly #accounts: Pick<ConnectionAccounts, 'begin' | 'end' | 'expect' | 'why'>;
  readonly #emit: Emit;

  constructor(accounts: Pick<ConnectionAccounts, 'begin' | 'end' | 'expect' | 'why'>, emit: Emit) {
    this.#accounts = accounts;
    this.#emit = emit;
  }

  /** @param watch what is to be done about its sessions besides; null: nothing */
  watchFor(service: Service, watch: Watch | null): Watch | null {
    if (!isAsked(service)) return watch;
    const error = this.#accounts.begin();
    if (error !== null) this.#emit({ ...failedFor(service.name), error, action: LACKING });
    return {
      questionOf: (connection) => watch?.questionOf(connection) ?? null,
      cookieOf: ({ fd }) => addon.cookieOf(fd),
      add: (child, question) => {
        if (child.owner.cookie !== undefined) this.#accounts.expect(child.owner.cookie);
        watch?.add(child, question);
      },
    };
  }

  /** These are the services in force. */
  adopt(services: readonly Service[]): void {
    if (!services.some(isAsked)) this.#accounts.end();
  }

  /** What cannot be told of a service now, although it is to; undefined: nothing. */
  whyLacking(service: Service): string | undefined {
    return isAsked(service) ? (this.#accounts.why ?? undefined) : undefined;
  }
}

export function failedFor(service: string): { event: 'failed'; verb: string; address: string; service: string } {
  return { event: 'failed', verb: 'watch', address: '-', service };
}

/** One child of a `wait` service has many connections, or none. */
function isAsked({ accounts, wait }: Service): boolean {
  return accounts === 'full' && !wait;
}
