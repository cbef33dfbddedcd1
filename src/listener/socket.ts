/**
 * A socket that listens (or, for datagrams, is bound) as plain data: all that an upgrade would have to write down.
 */
import type { Fd } from '../native/addon';
import type { SocketAddress } from '../service/address';
import type { Identity, SocketOptions } from '../service/service';

export interface ListeningSocket {
  readonly fd: Fd;
  /** With the port that the kernel chose, where the configuration left it open. */
  readonly address: SocketAddress;
  /** As configured: port 0 where the kernel chose, `fd:NAME` where the socket was passed. */
  readonly configured: SocketAddress;
  readonly origin: Origin;
  /** Those that were set last. */
  options: SocketOptions;
  /** Of a passed socket it is one, however often that is taken. */
  readonly past: Past;
}

/** What the kernel's socket has been through, whoever serves it by now. */
export interface Past {
  /** Whose child had it last, and what else that child has left behind may have it still; null: nobody's. */
  borrower: Borrower | null;
}

export interface Borrower {
  readonly service: string;
  readonly identity: Identity | null;
}

/** How we came by it, which decides how it is held off, changed and closed. */
export type Origin =
  | { readonly kind: 'bound' }
  /** A file of ours in a folder that is kept open, for as long as that is what its name there leads to. */
  | { readonly kind: 'path'; readonly folder: Fd; readonly device: number; readonly inode: number }
  /** Somebody bound it for us; it stays open for as long as we run. */
  | { readonly kind: 'passed' };
