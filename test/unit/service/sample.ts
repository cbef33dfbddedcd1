/** A service for tests that care about one or two of its fields. */
import type { Service } from '../../../src/service/service';

export function sampleService(fields: Partial<Service> = {}): Service {
  return {
    name: 'echo',
    description: null,
    enabled: true,
    listen: [{ sockets: [{ family: 'ipv4', address: '127.0.0.1', port: 7 }] }],
    command: { path: '/bin/cat', argv: ['cat'] },
    identity: null,
    directory: '/',
    umask: 0o22,
    environment: { PATH: '/bin' },
    stderr: 'socket',
    maxConnections: 1000,
    whenFull: 'wait',
    socket: { backlog: 4096, nodelay: false, keepalive: false },
    stopGraceMs: 5000,
    ...fields,
  };
}
