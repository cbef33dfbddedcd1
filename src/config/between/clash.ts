/**
 * Which entries of `listen` want an address that another one has already.
 *
 * It decides as the kernel does for two sockets without SO_REUSEPORT: TCP and UDP do not meet; a wildcard takes the port for
 * all addresses of its family; IPv4 and IPv6 do not meet unless `v6only` is false; sockets of two devices do not meet;
 * port 0 never clashes.
 */
import { type InternetAddress, type SocketAddress, formatAddress } from '../../service/address';
import { type PassedSocket, findPassed } from '../../service/listen-text';
import type { SocketOptions } from '../../service/service';
import { isAbstractName } from '../../service/unix-text';
import type { Layers } from '../keys/layers';
import type { Problems } from '../report/problems';
import type { WrittenEntry } from '../resolve/listen';

/** Who holds an address. */
interface Owner {
  readonly layers: Layers;
  readonly written: WrittenEntry;
}

/** The holders of one port of one protocol and family on one device. */
interface Holders {
  wildcard: Owner | undefined;
  any: Owner;
  readonly byAddress: Map<string, Owner>;
}

/** The device of a socket that is bound to none: it meets those of every device. */
const NO_DEVICE = '';
/** Those of every device together. No interface has this name. */
const ANY_DEVICE = '/';

export class Clashes {
  /** Per protocol, family and port: the holders by device. */
  private readonly ports = new Map<string, Map<string, Holders>>();
  /** Of what has no port and address: paths, vsock ports, passed sockets. */
  private readonly names = new Map<string, Owner>();

  constructor(
    private readonly passed: readonly PassedSocket[],
    private readonly problems: Problems,
  ) {}

  /** One problem for each entry, however long its range. */
  add(written: WrittenEntry, options: SocketOptions, layers: Layers): void {
    const owner = { layers, written };
    let isReported = false;
    for (const socket of written.addresses.flatMap(({ sockets }) => sockets)) {
      const holder = this.take(socket, options, owner);
      if (holder !== undefined && !isReported) this.report(socket, owner, holder);
      isReported ||= holder !== undefined;
    }
  }

  /** The one who has it already. */
  private take(socket: SocketAddress, { extra }: SocketOptions, owner: Owner): Owner | undefined {
    if (!('address' in socket)) return this.takeName(this.nameOf(socket), owner);
    if (socket.port === 0) return undefined;
    const device = String(extra.SO_BINDTODEVICE ?? NO_DEVICE);
    const holder = this.takePort(socket, device, owner);
    if (holder !== undefined || socket.address !== '::' || extra.IPV6_V6ONLY !== 0) return holder;
    return this.takePort({ ...socket, family: 'ipv4', address: '0.0.0.0' }, device, owner);
  }

  private takePort(socket: InternetAddress, device: string, owner: Owner): Owner | undefined {
    const key = `${socket.type} ${socket.family} ${socket.port}`;
    const devices = this.ports.get(key) ?? new Map<string, Holders>();
    this.ports.set(key, devices);
    const met = device === NO_DEVICE ? [ANY_DEVICE] : [NO_DEVICE, device];
    const holders = met.map((each) => devices.get(each)).filter((each) => each !== undefined);
    const holder = holders.map((each) => holderOf(socket, each)).find((each) => each !== undefined);
    if (holder === undefined) for (const each of [device, ANY_DEVICE]) hold(socket, each, devices, owner);
    return holder;
  }

  private takeName(name: string, owner: Owner): Owner | undefined {
    const holder = this.names.get(name);
    if (holder === undefined) this.names.set(name, owner);
    return holder;
  }

  /** Abstract names are apart for each type of socket, paths are not. */
  private nameOf(socket: Exclude<SocketAddress, InternetAddress>): string {
    if (socket.family === 'vsock') return `vsock ${socket.port}`;
    if (socket.family === 'passed') return `fd ${findPassed(socket.name, this.passed)[0]?.number ?? socket.name}`;
    return isAbstractName(socket.path) ? `${socket.type} ${socket.path}` : socket.path;
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

function isWildcard({ address }: InternetAddress): boolean {
  return address === '0.0.0.0' || address === '::';
}

function holderOf(socket: InternetAddress, holders: Holders): Owner | undefined {
  return isWildcard(socket) ? holders.any : (holders.wildcard ?? holders.byAddress.get(socket.address));
}

function hold(socket: InternetAddress, device: string, devices: Map<string, Holders>, owner: Owner): void {
  const holders = devices.get(device) ?? { wildcard: undefined, any: owner, byAddress: new Map<string, Owner>() };
  devices.set(device, holders);
  if (isWildcard(socket)) holders.wildcard = owner;
  holders.byAddress.set(socket.address, owner);
}
