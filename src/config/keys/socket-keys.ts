/**
 * The keys of `socket`.
 */
import { z } from 'zod';
import { account, fileMode, size, someTime, wholeSeconds } from './values';

/** listen(2) takes an int. */
const LARGEST_INT = 2_147_483_647;

/** MAX_TCP_KEEPCNT. */
const MOST_PROBES = 127;

const keepalive = z.strictObject({
  idle: wholeSeconds.optional().describe('Silence before the first probe (TCP_KEEPIDLE).'),
  interval: wholeSeconds.optional().describe('Time between probes (TCP_KEEPINTVL).'),
  count: z.int().min(1).max(MOST_PROBES).optional().describe('Unanswered probes that end it (TCP_KEEPCNT).'),
});

export const socketSchema = z.strictObject({
  backlog: z
    .int()
    .min(1)
    .max(LARGEST_INT)
    .default(4096)
    .describe('Clients that the kernel may hold in its queue; it caps this at net.core.somaxconn.'),
  nodelay: z.boolean().default(false).describe('TCP: send small writes at once (TCP_NODELAY).'),
  keepalive: z
    .union([z.boolean(), keepalive])
    .default(true)
    .describe('TCP: probe idle clients, so that a vanished one ends (SO_KEEPALIVE). A map says how.'),
  user_timeout: someTime
    .optional()
    .describe('TCP: how long sent data may stay unacknowledged before the connection ends (TCP_USER_TIMEOUT).'),
  defer_accept: wholeSeconds
    .optional()
    .describe('TCP: start the program when the client has sent something, or after this time (TCP_DEFER_ACCEPT).'),
  fastopen: z
    .int()
    .min(1)
    .max(LARGEST_INT)
    .optional()
    .describe('TCP: take data with the first packet; how many such clients may wait (TCP_FASTOPEN).'),
  device: z
    .string()
    .regex(/^[^/\s\0:]{1,15}$/, { error: 'not a name for a network interface' })
    .optional()
    .describe('TCP and UDP: only clients that come by this network interface (SO_BINDTODEVICE).'),
  freebind: z.boolean().default(false).describe('TCP and UDP: bind an address that is not there yet (IP_FREEBIND).'),
  transparent: z
    .boolean()
    .default(false)
    .describe('TCP and UDP: take what the firewall diverts, for addresses of others (IP_TRANSPARENT).'),
  reuse_port: z
    .boolean()
    .default(false)
    .describe('TCP and UDP: share the port with other processes that ask for it too (SO_REUSEPORT).'),
  mark: z.int().min(0).max(0xffffffff).optional().describe('TCP and UDP: mark of packets for the firewall (SO_MARK).'),
  tos: z.int().min(0).max(255).optional().describe('TCP and UDP: type of service of packets (IP_TOS, IPV6_TCLASS).'),
  v6only: z
    .boolean()
    .default(true)
    .describe('`false`: a `tcp6` or `udp6` address takes IPv4 clients as well, as `::ffff:…` (IPV6_V6ONLY).'),
  receive_buffer: size.optional().describe('Size of the receive buffer (SO_RCVBUF).'),
  send_buffer: size.optional().describe('Size of the send buffer (SO_SNDBUF).'),
  mode: fileMode('0660').optional().describe('Unix sockets with a path: permissions; a quoted octal mode.'),
  owner: account.optional().describe('Unix sockets with a path: the owner, a name or an id.'),
  group: account.optional().describe('Unix sockets with a path: the group, a name or an id.'),
});
