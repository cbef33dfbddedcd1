/**
 * Words of other super-servers, of systemd and of container tools, and what they are called here.
 * With them a file carried over from there says itself what to write.
 */
import { SERVICE_KEYS } from './schema';
import { socketSchema } from './socket-keys';

/** Whose word it is, and what to do with it. */
interface Foreign {
  readonly owner: string;
  readonly advice: string;
}

const put = (what: string, key: string): string => `put ${what} in "${key}"`;
const NONE = 'there is no counterpart here';

const XINETD: Readonly<Record<string, string>> = {
  server: put('the program', 'exec'),
  server_args: put('the arguments', 'exec'),
  namearg: put("the program's own name", 'argv0'),
  port: put('the port', 'listen'),
  bind: put('ADDRESS:PORT', 'listen'),
  interface: put('ADDRESS:PORT', 'listen'),
  socket_type: put('PORT for stream, PORT/udp for dgram,', 'listen'),
  protocol: put('PORT/tcp or PORT/udp', 'listen'),
  type: 'for INTERNAL put the name in "builtin", for TCPMUX write "tcpmux: true", for TCPMUXPLUS "tcpmux: plus"',
  disable: put('true or false, the other way round,', 'enabled'),
  instances: put('the number', 'max_connections'),
  passenv: put('the names', 'pass_env'),
  cps: NONE,
  per_source: NONE,
  only_from: NONE,
  no_access: NONE,
  access_times: NONE,
  banner: NONE,
  flags: 'see "socket" for the options of the socket',
  log_type: 'events go to standard error; leave it out',
  log_on_success: 'every connection is logged; leave it out',
  log_on_failure: 'every failure is logged; leave it out',
};

const SYSTEMD: Readonly<Record<string, string>> = {
  listenstream: put('the address, a path as unix:PATH,', 'listen'),
  listendatagram: put('PORT/udp or unix-dgram:PATH', 'listen'),
  listensequentialpacket: put('unix-seqpacket:PATH', 'listen'),
  listenfifo: NONE,
  filedescriptorname: put('fd:NAME', 'listen'),
  execstart: put('the command', 'exec'),
  accept: 'for Accept=no write "wait: true"; Accept=yes is what is done without it',
  maxconnections: put('the number', 'max_connections'),
  maxconnectionspersource: NONE,
  workingdirectory: put('the folder', 'directory'),
  supplementarygroups: put('the groups', 'groups'),
  environment: put('NAME: VALUE', 'env'),
  passenvironment: put('the names', 'pass_env'),
  standarderror: put('socket or null', 'stderr'),
  timeoutstopsec: put('the time', 'stop_grace'),
  bindipv6only: 'for ipv6-only write PORT/tcp6 in "listen", for both add "socket: {v6only: false}"',
  bindtodevice: put('the interface', 'socket.device'),
  iptos: put('the number', 'socket.tos'),
  receivebuffer: put('the size', 'socket.receive_buffer'),
  sendbuffer: put('the size', 'socket.send_buffer'),
  keepalivetimesec: put('the time', 'socket.keepalive.idle'),
  keepaliveintervalsec: put('the time', 'socket.keepalive.interval'),
  keepaliveprobes: put('the number', 'socket.keepalive.count'),
  deferacceptsec: put('the time', 'socket.defer_accept'),
  socketmode: put('the mode in quotes', 'socket.mode'),
  socketuser: put('the user', 'socket.owner'),
  socketgroup: put('the group', 'socket.group'),
};

const OTHER: Readonly<Record<string, string>> = {
  command: 'exec',
  cmd: 'exec',
  program: 'exec',
  run: 'exec',
  entrypoint: 'exec',
  args: 'exec',
  arguments: 'exec',
  ports: 'listen',
  address: 'listen',
  cwd: 'directory',
  workdir: 'directory',
  working_dir: 'directory',
  environ: 'env',
  vars: 'env',
  disabled: 'enabled',
  uid: 'user',
  gid: 'group',
  max_children: 'max_connections',
  max_clients: 'max_connections',
  internal: 'builtin',
  forward: 'redirect',
  proxy: 'redirect',
};

/** A sentence with the remedy; undefined: not a word that we know from elsewhere. */
export function explainForeignKey(key: string): string | undefined {
  const foreign = find(key);
  return foreign && `"${key}" is ${foreign.owner}'s word: ${foreign.advice}`;
}

/** Everyday words for our keys, and keys of `socket` that stand outside of it; they also stand in for their own misspellings. */
export function everydayWords(): ReadonlyMap<string, string> {
  const ofSocket = Object.keys(socketSchema.shape).filter((key) => !SERVICE_KEYS.includes(key));
  return new Map([...Object.entries(OTHER), ...ofSocket.map((key) => [key, `socket.${key}`] as const)]);
}

function find(key: string): Foreign | undefined {
  const word = key.toLowerCase();
  if (Object.hasOwn(XINETD, word)) return { owner: 'xinetd', advice: XINETD[word] ?? NONE };
  if (Object.hasOwn(SYSTEMD, word)) return { owner: 'systemd', advice: SYSTEMD[word] ?? NONE };
  return undefined;
}
