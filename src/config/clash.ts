/**
 * Which entries of `listen` want an address that another one has already. Called by `load` once all services are read.
 *
 * It decides as the kernel does for two listening TCP sockets without SO_REUSEPORT: a wildcard takes the port for all
 * addresses of its family; IPv4 and IPv6 (always V6ONLY here) do not meet; port 0 never clashes.
 */
import { type SocketAddress, formatAddress } from '../service/address';
import { expandListen } from '../service/listen-text';
import type { WrittenEntry } from './listen';
import type { Layers } from './layers';
import type { Problems } from './problems';

/** Who holds an address. */
interface Owner {
  readonly layers: Layers;
  readonly written: WrittenEntry;
}

/** The holders of one port in one family. */
interface Holders {
  wildcard: Owner | undefined;
  any: Owner;
  readonly byAddress: Map<string, Owner>;
}

export class Clashes {
  private readonly ports = new Map<string, Holders>();

  constructor(
    private readonly hasIpv6: boolean,
    private readonly problems: Problems,
  ) {}

  /** One problem for each entry, however long its range. */
  add(written: WrittenEntry, layers: Layers): void {
    const owner = { layers, written };
    let isReported = false;
    for (const { sockets } of expandListen(written.entry, this.hasIpv6)) {
      for (const socket of sockets) {
        const holder = socket.port === 0 ? undefined : this.take(socket, owner);
        if (holder !== undefined && !isReported) this.report(socket, owner, holder);
        isReported ||= holder !== undefined;
      }
    }
  }

  /** The one who has it already. */
  private take(socket: SocketAddress, owner: Owner): Owner | undefined {
    const key = `${socket.family} ${socket.port}`;
    const isWildcard = socket.address === '0.0.0.0' || socket.address === '::';
    const holders = this.ports.get(key);
    if (holders === undefined) {
      const byAddress = new Map([[socket.address, owner]]);
      this.ports.set(key, { wildcard: isWildcard ? owner : undefined, any: owner, byAddress });
      return undefined;
    }
    const holder = isWildcard ? holders.any : (holders.wildcard ?? holders.byAddress.get(socket.address));
    if (holder !== undefined) return holder;
    holders.byAddress.set(socket.address, owner);
    return undefined;
  }

  private report(socket: SocketAddress, owner: Owner, holder: Owner): void {
    const spot = holder.layers.spot(holder.written.path);
    const { line, column } = spot.source.position(spot.offset ?? 0);
    const place = `${spot.source.file}:${line}:${column}`;
    const message = `${formatAddress(socket)} is already taken by ${spot.path} (${place})`;
    const remedy = 'give one of them another port or address, or "enabled: false"';
    this.problems.report(owner.layers.spot(owner.written.path), { message, remedy });
  }
}
