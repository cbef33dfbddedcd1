/**
 * Words of other super-servers, of systemd and of container tools: what they are called here, or what to do in their place.
 * Data alone; `foreign-keys` makes sentences of it.
 */

/** What to write here, and in which key; a text alone: what to do where no key of ours is meant. */
export type Advice = { readonly what: string; readonly key: string } | string;
export type Words = Readonly<Record<string, Advice>>;

const put = (what: string, key: string): Advice => ({ what, key });
const leaveOut = (why: string): string => `leave it out: ${why}`;

/** Recipes for what has no key yet; test/interop/recipes.test.ts follows them. */
const byProgram = (command: string): string => `there is no key for it yet: write exec: ${command} PROGRAM`;
const byTcpd =
  'there is no key for it yet: write exec: /usr/sbin/tcpd and argv0: PROGRAM, and rules in /etc/hosts.allow';
const byUnit = (key: string): string =>
  `there is no key for it yet: ${key} in the unit of stdiod holds for all services`;
const byUnitAlone = 'what the unit of stdiod says about it holds for all services';
const byShell = (text: string): string => `there is no key for it yet: write exec: [sh, -c, '${text}; exec PROGRAM']`;
const ofBurst = leaveOut('a burst waits in the queue, and nothing is switched off');
const perPeer = 'there is no key for it yet; the firewall can: nft add rule … tcp dport PORT ct count over N reject';
const timed = byProgram('timeout 10m');

export const XINETD: Words = {
  server: put('the program', 'exec'),
  server_args: put('the arguments', 'exec'),
  namearg: put("the program's own name", 'argv0'),
  port: put('the port', 'listen'),
  bind: put('ADDRESS:PORT', 'listen'),
  interface: 'put ADDRESS:PORT in "listen"; a network device stands in "socket.device"',
  socket_type: put('PORT for stream, PORT/udp for dgram,', 'listen'),
  protocol: put('PORT/tcp or PORT/udp', 'listen'),
  type: 'for INTERNAL put the name in "builtin", for TCPMUX write "tcpmux: true", for TCPMUXPLUS "tcpmux: plus", and leave UNLISTED out',
  id: leaveOut('the name before the colon is the id, and two services on one port have two names'),
  disable: put('true or false, the other way round,', 'enabled'),
  instances: put('the number', 'max_connections'),
  max_load: put('a number', 'max_connections'),
  passenv: put('the names', 'pass_env'),
  rlimit_as: put('the limit, such as 512M,', 'rlimits.address_space'),
  rlimit_cpu: put('the limit, such as 60s,', 'rlimits.cpu_time'),
  rlimit_data: put('the limit, such as 512M,', 'rlimits.data'),
  rlimit_files: put('the limit', 'rlimits.open_files'),
  rlimit_rss: leaveOut('Linux has no such limit; "rlimits: {address_space: 512M}" limits the address space'),
  rlimit_stack: put('the limit, such as 8M,', 'rlimits.stack'),
  cps: ofBurst,
  per_source: perPeer,
  only_from: byTcpd,
  no_access: byTcpd,
  libwrap: byTcpd,
  access_times: 'there is no key for it yet: let cron change "enabled" in an included file and send HUP',
  banner: byShell('cat /etc/banner'),
  banner_success: byShell('cat /etc/banner'),
  banner_fail: leaveOut('who is refused is told nothing'),
  deny_time: leaveOut('nobody is locked out'),
  mdns: leaveOut('nothing is announced; avahi-daemon can, with a file in /etc/avahi/services'),
  rpc_version: 'services of ONC RPC cannot be served',
  rpc_number: 'services of ONC RPC cannot be served',
  flags:
    'put NODELAY and KEEPALIVE in "socket", IPv4 and IPv6 in "listen" (PORT/tcp4), NAMEINARGS in "argv0", and leave the others out',
  log_type: 'events go to standard error; leave it out',
  log_on_success: 'every connection is logged; leave it out',
  log_on_failure: 'every failure is logged; leave it out',
};

export const SYSTEMD: Words = {
  listenstream: put('the address, a path as unix:PATH,', 'listen'),
  listendatagram: put('PORT/udp or unix-dgram:PATH', 'listen'),
  listensequentialpacket: put('unix-seqpacket:PATH', 'listen'),
  listenfifo: 'there is no counterpart here: a FIFO has no clients to tell apart',
  listenspecial: 'there is no counterpart here',
  listennetlink: 'there is no counterpart here',
  filedescriptorname: put('fd:NAME', 'listen'),
  execstart: put('the command', 'exec'),
  execstartpre: byShell('COMMAND'),
  execstartpost: 'there is no counterpart here',
  execstop: leaveOut('a child gets SIGTERM, and SIGKILL after "stop_grace"'),
  execreload: leaveOut('SIGHUP to stdiod reads the file again'),
  type: leaveOut('a program is started for each connection'),
  restart: leaveOut('a program is started for each connection'),
  restartsec: leaveOut('a program is started for each connection'),
  accept: 'for Accept=no write "wait: true"; Accept=yes is what is done without it',
  maxconnections: put('the number', 'max_connections'),
  maxconnectionspersource: perPeer,
  triggerlimitburst: ofBurst,
  triggerlimitintervalsec: ofBurst,
  polllimitburst: ofBurst,
  polllimitintervalsec: ofBurst,
  workingdirectory: put('the folder', 'directory'),
  rootdirectory: 'there is no key for it yet: write exec: chroot FOLDER PROGRAM, and "user: root"',
  dynamicuser: 'there is no key for it: without "user" a service runs as nobody; useradd --system makes one of its own',
  supplementarygroups: put('the groups', 'groups'),
  environment: put('NAME: VALUE', 'env'),
  environmentfile: put('its lines as NAME: VALUE', 'env'),
  passenvironment: put('the names', 'pass_env'),
  standardinput: leaveOut('it is the connection'),
  standardoutput: leaveOut('it is the connection'),
  standarderror: put('socket, log, null or the path of a file', 'stderr'),
  syslogidentifier: leaveOut('each event has the name of its service'),
  timeoutstopsec: put('the time', 'stop_grace'),
  timeoutsec: put('the time', 'stop_grace'),
  runtimemaxsec: timed,
  limitas: put('the limit, such as 512M,', 'rlimits.address_space'),
  limitcpu: put('the limit, such as 60s,', 'rlimits.cpu_time'),
  limitdata: put('the limit, such as 512M,', 'rlimits.data'),
  limitfsize: put('the limit, such as 10M,', 'rlimits.file_size'),
  limitnofile: put('the limit', 'rlimits.open_files'),
  limitnproc: put('the limit', 'rlimits.processes'),
  limitcore: put('the limit', 'rlimits.core_size'),
  limitstack: put('the limit, such as 8M,', 'rlimits.stack'),
  limitmemlock: put('the limit, such as 64K,', 'rlimits.memlock'),
  memorymax: put('the limit, such as 512M,', 'rlimits.address_space'),
  memoryhigh: put('the limit, such as 512M,', 'rlimits.address_space'),
  cpuquota: byUnit('CPUQuota='),
  tasksmax: put('the number', 'max_connections'),
  oomscoreadjust: byProgram('choom -n 500 --'),
  cpuaffinity: put('the CPUs', 'cpu_affinity'),
  nice: put('the value', 'nice'),
  ipaddressallow: byTcpd,
  ipaddressdeny: byTcpd,
  nonewprivileges: byProgram('setpriv --no-new-privs'),
  capabilityboundingset: leaveOut('a program that is not root has no capabilities'),
  ambientcapabilities: leaveOut('a program that is not root has no capabilities'),
  privatetmp: byUnitAlone,
  privatenetwork: byUnitAlone,
  privatedevices: byUnitAlone,
  protectsystem: byUnitAlone,
  protecthome: byUnitAlone,
  readonlypaths: byUnitAlone,
  readwritepaths: byUnitAlone,
  systemcallfilter: byUnitAlone,
  wantedby: byUnitAlone,
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

export const COMPOSE: Words = {
  image: 'a program of this machine is run, no image: name it in "exec"',
  build: 'a program of this machine is run, no image: name it in "exec"',
  container_name: leaveOut('the name before the colon is the name'),
  depends_on: leaveOut('every service is there as soon as its address is'),
  environment: put('NAME: VALUE', 'env'),
  env_file: put('its lines as NAME: VALUE', 'env'),
  expose: put('the port', 'listen'),
  healthcheck: leaveOut('a program is started for each connection'),
  labels: put('a word to yourself', 'description'),
  logging: leaveOut('events go to standard error'),
  networks: put('ADDRESS:PORT', 'listen'),
  network_mode: put('ADDRESS:PORT', 'listen'),
  volumes: leaveOut('a program sees the files of this machine'),
  restart: leaveOut('a program is started for each connection'),
  stop_grace_period: put('the time', 'stop_grace'),
  stop_signal: leaveOut('a child gets SIGTERM, and SIGKILL after "stop_grace"'),
  mem_limit: put('the limit, such as 512M,', 'rlimits.address_space'),
  pids_limit: put('the limit', 'rlimits.processes'),
  ulimits: put('the limit', 'rlimits.open_files'),
  cpus: byUnit('CPUQuota='),
  deploy: put('the number of replicas', 'max_connections'),
  stdin_open: leaveOut('standard input is the connection'),
  tty: 'there is no counterpart here: a connection is no terminal',
  version: leaveOut('there is one version of this file'),
};

const NO_TLS = 'there is no TLS here: put stunnel, HAProxy or nginx before the service, and let it listen on 127.0.0.1';

/** What other programs have and we have not, or not yet; nobody's own word. */
export const ABSENT: Words = {
  tls: NO_TLS,
  ssl: NO_TLS,
  cert: NO_TLS,
  certificate: NO_TLS,
  timeout: timed,
  session_timeout: timed,
  idle_timeout: 'there is no key for it yet: exec: timeout 10m PROGRAM ends every session after that time',
  first_byte_timeout: 'there is no key for it yet: "socket: {defer_accept: 10s}" waits for the first byte',
  shell: 'for a shell write exec: [sh, -c, "…"]',
  allow: byTcpd,
  deny: byTcpd,
  rate: ofBurst,
  rate_per_peer: perPeer,
  max_per_peer: perPeer,
  memory: put('the limit, such as 512M,', 'rlimits.address_space'),
  oom_score_adjust: byProgram('choom -n 500 --'),
  no_new_privileges: byProgram('setpriv --no-new-privs'),
  chroot: 'there is no key for it yet: write exec: chroot FOLDER PROGRAM, and "user: root"',
  root: 'there is no key for it yet: write exec: chroot FOLDER PROGRAM, and "user: root"',
};

/** Keys of `log`. */
export const LOG: Words = {
  file: 'events go to standard error: 2>>FILE puts them in a file, systemd in its journal',
  path: 'events go to standard error: 2>>FILE puts them in a file, systemd in its journal',
  output: 'events go to standard error: 2>>FILE puts them in a file, systemd in its journal',
  syslog: 'events go to standard error: 2> >(logger -t stdiod) puts them in the syslog, systemd in its journal',
  level: leaveOut('every event is written; a reader such as jq picks some'),
};

/** Everyday words for keys of ours. */
export const EVERYDAY: Readonly<Record<string, string>> = {
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
  working_directory: 'directory',
  environ: 'env',
  vars: 'env',
  disabled: 'enabled',
  uid: 'user',
  gid: 'group',
  max_children: 'max_connections',
  max_clients: 'max_connections',
  max_conns: 'max_connections',
  limit: 'max_connections',
  internal: 'builtin',
  forward: 'redirect',
  proxy: 'redirect',
};
