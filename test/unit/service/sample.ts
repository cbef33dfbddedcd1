/** A service for tests that care about one or two of its fields. */
import type { Service, SocketOptions } from '../../../src/service/service';

export function sampleService(fields: Partial<Service> = {}): Service {
  return {
    name: 'echo',
    description: null,
    enabled: true,
    listen: [{ sockets: [{ family: 'ipv4', type: 'stream', address: '127.0.0.1', port: 7 }] }],
    handler: { kind: 'exec', command: { path: '/bin/cat', argv: ['cat'] } },
    wait: false,
    tcpmux: null,
    identity: null,
    directory: '/',
    umask: 0o22,
    environment: { PATH: '/bin' },
    stderr: 'socket',
    maxConnections: 1000,
    whenFull: 'wait',
    socket: sampleSocketOptions(),
    stopGraceMs: 5000,
    ...fields,
  };
}

export function sampleSocketOptions(fields: Partial<SocketOptions> = {}): SocketOptions {
  return {
    backlog: 4096,
    nodelay: false,
    keepalive: false,
    extra: {},
    mode: null,
    owner: null,
    group: null,
    ...fields,
  };
}
