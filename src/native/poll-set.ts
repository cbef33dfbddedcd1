/**
 * Which of our descriptors have something to read: one epoll set below libuv's, so that one call from the addon tells of many.
 * What a descriptor's owner throws costs that owner its turn, and nobody else theirs.
 */
import { addon, POLLER_BATCH, type Fd, type Poller } from './addon';

export interface Watcher {
  onReadable(): void;
  /** What `onReadable` has thrown. It is called again for as long as the descriptor is watched and readable. */
  onFault(error: unknown): void;
}

export class PollSet {
  readonly #watchers = new Map<number, Watcher>();
  readonly #ready = new Int32Array(POLLER_BATCH);
  readonly #poller: Poller;

  constructor() {
    this.#poller = addon.openPoller(this.#ready, (count) => {
      this.#onReady(count);
    });
  }

  /** Level-triggered. @throws SystemError of epoll_ctl */
  watch(fd: Fd, watcher: Watcher): void {
    this.#poller.watch(fd);
    this.#watchers.set(fd, watcher);
  }

  /** Also needed before a close: a child that has not exec'ed yet may hold the description too. */
  unwatch(fd: Fd): void {
    if (this.#watchers.delete(fd)) this.#poller.unwatch(fd);
  }

  /** One that an earlier one of the same batch caused to be unwatched is passed over. */
  #onReady(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const watcher = this.#watchers.get(this.#ready[index] ?? -1);
      try {
        watcher?.onReadable();
      } catch (error) {
        watcher?.onFault(error);
      }
    }
  }
}
