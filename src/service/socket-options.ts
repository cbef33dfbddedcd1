/**
 * Which sockets a socket option is for: what the configuration refuses elsewhere, and what a listener leaves out for those of
 * a service's sockets that do not have it.
 */
import type { SocketAddress } from './address';
import type { SocketOption } from './service';
import { isAbstractName } from './unix-text';

/** `connection`: whatever can listen for connections. Of a passed socket only its type is known. */
export type OptionScope = 'any' | 'connection' | 'internet' | 'tcp' | 'unix-path';

export const OPTION_SCOPES: Readonly<Record<SocketOption, OptionScope>> = {
  SO_BINDTODEVICE: 'internet',
  SO_REUSEPORT: 'internet',
  SO_MARK: 'internet',
  SO_RCVBUF: 'any',
  SO_SNDBUF: 'any',
  IP_FREEBIND: 'internet',
  IP_TRANSPARENT: 'internet',
  IP_TOS: 'internet',
  IPV6_V6ONLY: 'internet',
  TCP_KEEPIDLE: 'tcp',
  TCP_KEEPINTVL: 'tcp',
  TCP_KEEPCNT: 'tcp',
  TCP_USER_TIMEOUT: 'tcp',
  TCP_DEFER_ACCEPT: 'tcp',
  TCP_FASTOPEN: 'tcp',
};

export function isInScope(address: SocketAddress, scope: OptionScope): boolean {
  const { family, type } = address;
  switch (scope) {
    case 'any':
      return true;
    case 'connection':
      return type !== 'datagram';
    case 'unix-path':
      return family === 'unix' && !isAbstractName(address.path);
    case 'internet':
      return family === 'ipv4' || family === 'ipv6' || family === 'passed';
    case 'tcp':
      return type === 'stream' && family !== 'unix' && family !== 'vsock';
  }
}
