/**
 * Which of our descriptors have something to read: one epoll set below libuv's, so that one call from the addon tells of many.
 * What a descriptor's owner throws costs that owner its turn, and nobody else theirs.
 */
import { addon, POLLER_BATCH, type Fd, type Poller } from './addon';
import { isSystemError } from './system-error';

export interface Watcher {
  onReadable(): void;
  /** What `onReadable` has thrown. It is called again for as long as the descriptor is watched and readable. */
  onFault(error: unknown): void;
}

export class PollSet {
  readonly #watchers = new Map<Fd, Watcher>();
  /** Nobody's any more, and the kernel would not let go of them: it goes on telling of them. */
  readonly #stuck = new Set<Fd>();
  readonly #ready = new Int32Array(POLLER_BATCH);
  readonly #poller: Poller;

  constructor() {
    this.#poller = addon.openPoller(this.#ready, (count) => this.#onReady(count));
  }

  /** Level-triggered. @throws SystemError of epoll_ctl */
  watch(fd: Fd, watcher: Watcher): void {
    if (this.#stuck.has(fd)) this.#leave(fd);
    this.#poller.watch(fd);
    this.#watchers.set(fd, watcher);
  }

  /** Also needed before a close: a child that has not exec'ed yet may hold the description too. Never fails for its caller. */
  unwatch(fd: Fd): void {
    if (this.#watchers.delete(fd)) this.#leave(fd);
  }

  /** @returns whether the kernel tells of it no more */
  #leave(fd: Fd): boolean {
    try {
      this.#poller.unwatch(fd);
      this.#stuck.delete(fd);
    } catch (error) {
      if (isGone(error)) this.#stuck.delete(fd);
      else this.#stuck.add(fd);
    }
    return !this.#stuck.has(fd);
  }

  /**
   * One that an earlier one of the same batch caused to be unwatched is passed over.
   * @returns false: there is one that cannot be left, to be told of it again at once would be no use
   */
  #onReady(count: number): boolean {
    let isWell = true;
    for (let index = 0; index < count; index += 1) {
      const fd = this.#ready[index] as Fd;
      const watcher = this.#watchers.get(fd);
      if (watcher !== undefined) this.#tell(watcher);
      else if (this.#stuck.has(fd)) isWell = this.#leave(fd) && isWell;
    }
    return isWell;
  }

  #tell(watcher: Watcher): void {
    try {
      watcher.onReadable();
    } catch (error) {
      watcher.onFault(error);
    }
  }
}

/** It was closed meanwhile. */
function isGone(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'ENOENT' || error.code === 'EBADF');
}
