import { ABSENT, COMPOSE, SYSTEMD, XINETD } from '../../../../src/config/keys/foreign-words';
import { SERVICE_KEYS } from '../../../../src/config/keys/schema';
import { OPEN } from '../../../../src/service/admission';
import { load, onlyKeys, problemsOf, processOf, service, withKeys } from '../loading';

test('fills in every default', () => {
  const { configuration } = load('services:\n  shout:\n    listen: 7007\n    exec: tr a-z A-Z\n');
  expect(configuration).toMatchObject({ limits: { maxConnections: 10_000 }, log: { format: 'auto' } });
  const directory = process.cwd();
  expect(configuration.services[0]).toMatchObject({
    name: 'shout',
    description: null,
    enabled: true,
    run: { kind: 'exec', process: { directory, umask: 0o022, stderr: 'socket' } },
    maxConnections: 1000,
    whenFull: 'wait',
    admission: { ...OPEN, maxPerPeer: 100 },
    socket: { backlog: 4096, nodelay: false, keepalive: true },
    session: { timeoutMs: null, idleMs: null, disconnectMs: null },
    accounts: 'basic',
    stopGraceMs: 5000,
  });
});

test('reads every key', () => {
  const keys = [
    'description: a cat',
    'argv0: kitty',
    'umask: "077"',
    'stderr: null',
    'max_connections: 7',
    'when_full: refuse',
    'max_per_peer: 3',
    'peer_prefix: {v4: 24}',
    'rate: 50/s',
    'rate_per_peer: 300/m',
    'when_limited: wait',
    'socket: {backlog: 1, nodelay: true, keepalive: false}',
    'session_timeout: 10m',
    'idle_timeout: 1m',
    'on_disconnect: terminate',
    'disconnect_delay: 3s',
    'accounts: full',
    'stop_grace: 500ms',
  ];
  expect(service(withKeys(keys.join('\n')))).toMatchObject({
    description: 'a cat',
    run: { kind: 'exec', command: { argv: ['kitty'] }, process: { umask: 0o077, stderr: 'null' } },
    maxConnections: 7,
    whenFull: 'refuse',
    admission: {
      access: null,
      maxPerPeer: 3,
      peerPrefix: { v4: 24, v6: 64 },
      rate: { count: 50, perMs: 1000 },
      ratePerPeer: { count: 300, perMs: 60_000 },
      whenLimited: 'wait',
      firstByteMs: null,
      times: null,
    },
    socket: { backlog: 1, nodelay: true, keepalive: false },
    session: { timeoutMs: 600_000, idleMs: 60_000, disconnectMs: 3000 },
    accounts: 'full',
    stopGraceMs: 500,
  });
});

test('takes the word null as well as YAML’s for stderr', () => {
  expect(processOf(service(withKeys('stderr: "null"'))).stderr).toBe('null');
});

test('reports every problem in one run, by line', () => {
  const keys = 'comand: x\numask: 022\nmax_connections: 0\nuser: nosuch\nlisten: 70000';
  expect(problemsOf(withKeys(keys)).map((line) => line.replace(/ \(.*/, ''))).toEqual([
    '3:5 services.a: unknown key "comand"; did you mean "exec"?',
    '4:12 services.a.umask: expected a string, got the number 22',
    '5:22 services.a.max_connections: must be at least 1, got 0',
    '6:11 services.a.user: unknown user "nosuch"',
    '7:13 services.a.listen: port must be 0-65535, got 70000',
  ]);
});

test('says what is missing', () => {
  expect(problemsOf('services:\n  a: {}\n')).toEqual([
    '2:3 services.a: "exec", "builtin" or "redirect" is missing (add a line such as "exec: tr a-z A-Z")',
    '2:3 services.a: "listen" is missing (add a line such as "listen: 7007")',
  ]);
  expect(problemsOf('limits: {}')[0]).toContain('there are no services');
});

test.each([
  ['lisen: 80', 'unknown key "lisen"; did you mean "listen"?'],
  ['cmd: x', 'unknown key "cmd"; did you mean "exec"?'],
  ['nodelay: true', 'unknown key "nodelay"; did you mean "socket.nodelay"?'],
  ['server: /bin/cat', '"server" is xinetd\'s word: put the program in "exec"'],
  ['server_args: x', '"server_args" is xinetd\'s word: put the arguments in "exec"'],
  ['socket_type: dgram', '"socket_type" is xinetd\'s word: put PORT for stream, PORT/udp for dgram, in "listen"'],
  ['protocol: udp', '"protocol" is xinetd\'s word: put PORT/tcp or PORT/udp in "listen"'],
  ['interface: 10.0.0.1', '"interface" is xinetd\'s word: put ADDRESS:PORT in "listen";'],
  ['type: INTERNAL', 'for INTERNAL put the name in "builtin", for TCPMUX write "tcpmux: true"'],
  ['wait: no', 'services.a.wait: expected true or false, got "no" (write false)'],
  ['port: 80', '"port" is xinetd\'s word: put the port in "listen"'],
  ['instances: 5', '"instances" is xinetd\'s word: put the number in "max_connections"'],
  ['cps: 5 5', '"cps" is xinetd\'s word: put the first number, as 50/s, in "rate"'],
  ['only_from: 10.0.0.0', '"only_from" is xinetd\'s word: put the addresses and networks in "allow"'],
  ['per_source: 5', '"per_source" is xinetd\'s word: put the number in "max_per_peer"'],
  ['interface: eth0', 'a network device stands in "socket.device"'],
  ['MemoryMax: 1G', '"MemoryMax" is systemd\'s word: put the limit, such as 512M, in "cgroup.memory_max"'],
  ['Nice: 5', '"Nice" is systemd\'s word: put the value in "nice"'],
  ['image: x', '"image" is docker compose\'s word'],
  ['id: x', '"id" is xinetd\'s word: leave it out'],
  ['groups: no', 'expected a list, got "no" (write [])'],
  ['umask: 0o77', '(write the mode in quotes: "0077")'],
  ['umask: 999', '(write the mode in quotes: "0022")'],
  ['ExecStart: x', '"ExecStart" is systemd\'s word: put the command in "exec"'],
  ['ListenDatagram: 69', 'put PORT/udp or unix-dgram:PATH in "listen"'],
  ['ListenSequentialPacket: /x', 'put unix-seqpacket:PATH in "listen"'],
  ['Accept: "no"', '"Accept" is systemd\'s word: for Accept=no write "wait: true"'],
  ['BindToDevice: eth0', 'put the interface in "socket.device"'],
  ['FileDescriptorName: web', 'put fd:NAME in "listen"'],
  ['SocketMode: 0660', 'put the mode in quotes in "socket.mode"'],
  [
    'websocket: true',
    '(there is no WebSocket here: put a program that speaks it, such as websockify, before the service)',
  ],
  ['CPUQuota: 20%', 'put the share, such as 50%, in "cgroup.cpu_quota"'],
  ['TasksMax: 20', 'put the number in "cgroup.processes_max"'],
  ['host: 10.0.0.1', 'did you mean "listen"?'],
  ['name: x', '(leave it out: the name before the colon is the name)'],
  ['log_file: /x', '(events go to standard error: 2>>FILE puts them in a file, systemd in its journal)'],
  ['FreeBind: true', 'did you mean "socket.freebind"?'],
  ['mark: 1', 'did you mean "socket.mark"?'],
  ['include: x', '"include" belongs at the top of the file'],
  ['socket: {keepalive: {idel: 5s}}', 'services.a.socket.keepalive: unknown key "idel"; did you mean "idle"?'],
  ['frobnicate: 1', 'the keys here are listen, exec,'],
  ['socket: {backlg: 1}', 'services.a.socket: unknown key "backlg"; did you mean "backlog"?'],
])('knows what %s was meant to be', (line, expected) => {
  expect(problemsOf(withKeys(line)).join()).toContain(expected);
});

test.each([
  ['xinetd', XINETD],
  ['systemd', SYSTEMD],
  ['docker compose', COMPOSE],
  ['others', ABSENT],
])('every word of %s is answered with what to do', (_owner, words) => {
  const keys = Object.keys(words).filter((word) => !SERVICE_KEYS.includes(word));
  const problems = problemsOf(withKeys(keys.map((key) => `${key}: x`).join('\n')));
  expect(problems).toHaveLength(keys.length);
  expect(problems.filter((problem) => !/\((?!the keys here)/.test(problem))).toEqual([]);
});

test('a key that is there under another name is not missing as well', () => {
  expect(problemsOf(onlyKeys('port: 80\nserver: /bin/cat'))).toHaveLength(2);
  expect(problemsOf(onlyKeys('listen: 80\nfoward: a:80'))).toEqual([
    '4:5 services.a: unknown key "foward"; did you mean "redirect"?',
  ]);
  expect(problemsOf(onlyKeys('listen: 80\nusr: x')).join()).toContain('is missing');
});

test.each([
  ['max_connections: 3', 'put it in "limits"; for all services, in "defaults"'],
  ['listen: 3', 'put it under "services:" and the name of a service'],
  ['user: root', 'put it in a service, or in "defaults" for all of them'],
  ['defalts: {}', 'did you mean "defaults"?'],
  ['log: {format: jsn}', 'expected auto, text or json, got "jsn"; did you mean "json"?'],
  ['limits: {max_connections: many}', 'limits.max_connections: expected a whole number, got "many"'],
  ['limits: 5', 'limits: expected a map, got the number 5'],
  ['defaults: {exec: cat}', 'every service says its own "exec"'],
])('at the top of the file: %s', (line, expected) => {
  expect(problemsOf(`${withKeys('')}${line}\n`).join()).toContain(expected);
});

test.each(['syslog', 'journal', 'inherit', 'stderr'])('stderr: %s means the log', (word) => {
  expect(problemsOf(withKeys(`stderr: ${word}`)).join()).toContain(
    `got "${word}" (write log: each line is an event, and events go to stdiod's own standard error)`,
  );
});

test.each(['/dev/stderr', '/dev/stdout', '/dev/fd/2', '/dev/tty', '/proc/self/fd/2'])(
  'stderr cannot be %s, which no child could open',
  (file) => {
    expect(problemsOf(withKeys(`stderr: ${file}`)).join()).toContain(
      'that names what the program itself has open, and no file (write log: each line is an event',
    );
  },
);

test.each([
  ['listen: {}', 'expected a whole number, a string or a list, got a map'],
  ['listen: []', 'the list is empty'],
  ['listen: [[80]]', 'services.a.listen[0]: expected a whole number or a string, got a list'],
  ['listen: 80.5', 'expected a whole number, a string or a list, got the number 80.5'],
  ['listen: true', 'expected a whole number, a string or a list, got true'],
  ['listen:', 'got nothing (write a value after the colon, or remove the key)'],
  ['listen: 22:22', '"22" is not an IP address (there is only one port, our own: write 22)'],
  ['listen: 080', '080 is not a plain decimal number: YAML versions read it differently (write 80)'],
  ['listen: 0x50', '0x50 is not a plain decimal number: YAML versions read it differently (write 80)'],
  ['listen: ::1:80', 'an IPv6 address stands in brackets (write [::1]:80)'],
  ['listen: [80, 70000]', 'services.a.listen[1]: port must be 0-65535, got 70000'],
  ['exec: 5', 'expected a string or a list, got the number 5 (quote it: "5")'],
  ['exec: [sleep, 5]', 'services.a.exec[1]: expected a string, got the number 5 (quote it: "5")'],
  ['exec: [sleep, 010]', '(quote it: "010")'],
  ['exec: [echo, yes, null]', 'services.a.exec[2]: expected a string, got null (quote it: "null")'],
  ['exec: []', 'the list is empty'],
  ['exec: {}', 'expected a string or a list, got a map'],
  ['enabled: yes', 'expected true or false, got "yes" (write true)'],
  ['enabled: "no"', 'expected true or false, got "no" (write false)'],
  ['enabled: 1', 'expected true or false, got the number 1'],
  ['umask: 022', '(write the mode in quotes: "0022")'],
  ['umask: "0999"', '"0999" is not a mode of octal digits'],
  ['umask: "7777"', 'not a mode of octal digits'],
  ['env: [A=1]', 'expected a map, got a list'],
  ['env: {A: 1}', 'services.a.env.A: expected a string, got the number 1 (quote it: "1")'],
  ['env: {idle: 5}', 'services.a.env.idle: expected a string, got the number 5 (quote it: "5")'],
  ['env: {mode: 0644}', '(quote it: "0644")'],
  ['env: {1A: x}', 'services.a.env: not a name for a variable'],
  ['env: {A=B: x}', 'not a name for a variable'],
  ['env: {A: "x\\0y"}', 'a NUL character cannot be passed to a program'],
  ['env: {A: "\\ud800"}', 'half of a surrogate pair'],
  ['exec: ["cat", "x\\0"]', 'a NUL character cannot be passed to a program'],
  ['directory: "/\\0"', 'a NUL character cannot be passed to a program'],
  ['pass_env: TZ', 'expected a list, got "TZ" (write [TZ])'],
  ['pass_env: ["A B"]', 'not a name for a variable'],
  ['stderr: x.txt', 'null or the path of a file, with a slash, got "x.txt" (a file beside this one: ./x.txt)'],
  ['stderr: "append:/tmp/x"', 'the path stands alone here: what is written is always appended (write /tmp/x)'],
  ['stderr: "2>>x.log"', 'got "2>>x.log" (a file beside this one: ./x.log)'],
  [
    'stderr: "/tmp/%{service}"',
    'there are no placeholders here: all children of a service write to one file (write log: each line has its connection there)',
  ],
  ['stderr: ~/x.log', 'no shell reads this: "~" would be the name of a folder (write the full path)'],
  ['stderr: $HOME/x.log', 'no shell reads this: "$" would be part of the name (write the full path)'],
  ['stderr: stdout', 'got "stdout" (write socket: standard output is the connection)'],
  ['directory: ~/x', 'no shell reads this: "~" would be the name of a folder (write the full path)'],
  ['directory: $HOME', 'no shell reads this: "$" would be part of the name (write the full path)'],
  ['directory: ""', 'services.a.directory: must not be empty'],
  ['stderr: true', 'got true (write log)'],
  ['stderr: "/tmp/\\0"', 'a NUL character cannot be passed to a program'],
  ['stderr: sokcet', 'did you mean "socket"?'],
  ['when_full: drop', 'expected wait or refuse, got "drop"'],
  ['max_connections: 1.5', 'expected a whole number, got the number 1.5'],
  ['max_connections: "5"', 'expected a whole number, got "5" (write 5 without quotes)'],
  ['max_connections: 99999999999999999999', 'the number is too large'],
  ['max_connections: 4194305', 'must be at most 4194304, got 4194305'],
  ['max_connections: .inf', 'expected a whole number'],
  ['max_connections: 1e3', '1e3 is not a plain decimal number: YAML versions read it differently (write 1000)'],
  ['stop_grace: 5', 'expected a string, got the number 5 (write 5s)'],
  ['stop_grace: 5 minutes', '"5 minutes" is not a duration (write a number and ms, s, m, h or d: 500ms, 30s, 10m)'],
  ['stop_grace: 25d', 'longer than the longest duration, 24d'],
  ['session_timeout: 0s', 'shorter than 1ms (write a number and ms, s, m, h or d: 500ms, 30s, 10m)'],
  ['description: "a\\nb"', 'must be one line without control characters'],
  ['socket: true', 'expected a map, got true'],
  ['socket: {backlog: 0}', 'services.a.socket.backlog: must be at least 1, got 0'],
  ['argv0: ""', 'must not be empty'],
  ['user: [root]', 'expected a string or a whole number, got a list'],
])('refuses %s', (line, expected) => {
  expect(problemsOf(withKeys(line)).join('\n')).toContain(expected);
});

test('keeps services in the order of the file, whatever their names', () => {
  const text = 'services:\n  z: {listen: 1, exec: cat}\n  "7": {listen: 2, exec: cat}\n  080: {listen: 3, exec: cat}\n';
  expect(load(text).configuration.services.map(({ name }) => name)).toEqual(['z', '7', '080']);
});

test.each([
  'services:',
  'services: []',
  'services: 5',
  'services: {a: }',
  'services: {a: [x]}',
  'services: [{name: a}]',
])('refuses %j', (text) => {
  expect(problemsOf(text).join()).toContain('must be a map of keys and values');
});

test('loads ten thousand services', () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `  s${index}: {listen: ${index + 1}, exec: tr a-z A-Z}`);
  expect(load(`services:\n${lines.join('\n')}\n`).configuration.services).toHaveLength(10_000);
});
