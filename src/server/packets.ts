/**
 * A configuration on its way from the loader's thread: to receive thousands of services as one message would take the main thread
 * some tenths of a second in one go. They come in packets, and are unpacked in slices.
 */
import { deserialize, serialize } from 'node:v8';
import type { Loaded, LoadResult, Refused } from '../config/load';
import type { Work } from '../native/slices';
import type { Configuration, Service } from '../service/service';

/** What a load comes to for a server that is running. */
export type Reread = Pick<Loaded, 'ok' | 'configuration' | 'warnings' | 'texts'> | Refused;

export type Packed = (Pick<Loaded, 'ok' | 'warnings' | 'texts'> & Parts) | Refused;

interface Parts {
  readonly frame: Omit<Configuration, 'services'>;
  /** Of the services, in their order. */
  readonly packets: readonly Uint8Array[];
}

/** Services in a packet. */
const PACKET = 8;

export function pack(result: LoadResult): Packed {
  if (!result.ok) return result;
  const { ok, configuration, warnings, texts } = result;
  const { services, ...frame } = configuration;
  const count = Math.ceil(services.length / PACKET);
  const packets = Array.from({ length: count }, (_, at) => serialize(services.slice(at * PACKET, (at + 1) * PACKET)));
  return { ok, frame, packets, warnings, texts };
}

export function* unpack(packed: Packed): Work<Reread> {
  if (!packed.ok) return packed;
  const { ok, frame, packets, warnings, texts } = packed;
  const services: Service[] = [];
  for (const packet of packets) {
    services.push(...(deserialize(packet) as Service[]));
    yield 'revocable';
  }
  return { ok, configuration: { services, ...frame }, warnings, texts };
}
