/**
 * The mistakes that people make in their first hours, each with the whole answer to it: line and column, where it is, what is
 * wrong, and in brackets what to do. One mistake has one answer.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../../src/config/machine/machine';
import { problemsOf } from './loading';
import { asAlice } from './pretend-machine';

const folder = mkdtempSync(join(tmpdir(), 'stdiod-mistakes-'));
chmodSync(folder, 0o755);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const SCRIPTS: readonly (readonly [name: string, text: string, mode: number])[] = [
  ['plain.sh', '#!/bin/sh\n', 0o644],
  ['crlf.sh', '#!/bin/sh\r\necho\r\n', 0o755],
  ['bare.sh', 'echo\n', 0o755],
  ['lost.sh', '#!/no/such/sh\n', 0o755],
  ['env.sh', '#!/usr/bin/env no-such-language\n', 0o755],
];
for (const [name, text, mode] of SCRIPTS) {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), mode);
}

type Mistake = readonly [what: string, yaml: string, answers: readonly string[], machine?: Partial<Machine>];

/** FOLDER is the one that the file is in. */
const MISTAKES: readonly Mistake[] = [
  ['a tab', 'services:\n\ta:\n', ['2:1 a tab stands in the indentation (indent with spaces)']],
  [
    'services as a list',
    'services:\n  - name: a\n    listen: 7301\n    exec: cat\n',
    [
      '2:3 services: "services" must be a map of keys and values, got a list (write "NAME:" for each service, and its keys indented below)',
    ],
  ],
  [
    'service for services',
    'service:\n  a: {listen: 7301, exec: cat}\n',
    ['1:1 unknown key "service"; did you mean "services"?'],
  ],
  [
    'a pipe',
    'services:\n  a:\n    listen: 7301\n    exec: cat | sort\n',
    [
      '4:15 services.a.exec: no shell reads the command: | would be an ordinary character (for a shell write ["sh", "-c", "cat | sort"]; for the character quote it: \'|\')',
    ],
  ],
  [
    'two commands',
    'services:\n  a:\n    listen: 7301\n    exec: cat && date\n',
    [
      '4:15 services.a.exec: no shell reads the command: & would be an ordinary character (for a shell write ["sh", "-c", "cat && date"]; for the character quote it: \'&\')',
    ],
  ],
  [
    'a redirection',
    'services:\n  a:\n    listen: 7301\n    exec: cat > /tmp/x\n',
    [
      '4:15 services.a.exec: no shell reads the command: > would be an ordinary character (for a shell write ["sh", "-c", "cat > /tmp/x"]; for the character quote it: \'>\')',
    ],
  ],
  [
    'a variable',
    'services:\n  a:\n    listen: 7301\n    exec: echo $HOME\n',
    [
      '4:16 services.a.exec: no shell reads the command: $ would be an ordinary character (for a shell write ["sh", "-c", "echo $HOME"]; for the character quote it: \'$\')',
    ],
  ],
  [
    'a tilde',
    'services:\n  a:\n    listen: 7301\n    exec: ~/bin/x\n',
    ['4:11 services.a.exec: no shell reads the command: "~" stays as it is (write the full path)'],
  ],
  [
    'a pattern',
    'services:\n  a:\n    listen: 7301\n    exec: ls *.py\n',
    [
      '4:14 services.a.exec: no shell reads the command: * would be an ordinary character (for a shell write ["sh", "-c", "ls *.py"]; for the character quote it: \'*\')',
    ],
  ],
  [
    'a program that is not there',
    'services:\n  a:\n    listen: 7301\n    exec: nosuch\n',
    [
      '4:11 services.a.exec: there is no program "nosuch" in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin (install it, correct the name, or write the full path)',
    ],
  ],
  [
    'a file that is not executable',
    'services:\n  a:\n    listen: 7301\n    exec: ./plain.sh\n',
    ['4:11 services.a.exec: FOLDER/plain.sh is not executable (chmod +x FOLDER/plain.sh)'],
  ],
  [
    'Windows line ends',
    'services:\n  a:\n    listen: 7301\n    exec: ./crlf.sh\n',
    [
      '4:11 services.a.exec: FOLDER/crlf.sh has Windows line ends (CRLF): the kernel looks for an interpreter "/bin/sh\\r" (sed -i \'s/\\r$//\' FOLDER/crlf.sh)',
    ],
  ],
  [
    'a script without its first line',
    'services:\n  a:\n    listen: 7301\n    exec: ./bare.sh\n',
    [
      '4:11 services.a.exec: FOLDER/bare.sh is neither an ELF program nor a script with a "#!" line (if it is a script, let its first line name its interpreter: #!/bin/sh)',
    ],
  ],
  [
    'an interpreter that is not there',
    'services:\n  a:\n    listen: 7301\n    exec: ./lost.sh\n',
    ['4:11 services.a.exec: the interpreter of FOLDER/lost.sh: /no/such/sh does not exist (correct the path)'],
  ],
  [
    'an interpreter that env does not find',
    'services:\n  a:\n    listen: 7301\n    exec: ./env.sh\n',
    [
      '4:11 services.a.exec: the interpreter of FOLDER/env.sh: env does not find "no-such-language" in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin (install no-such-language, or set PATH in "env")',
    ],
  ],
  [
    'a folder as program',
    'services:\n  a:\n    listen: 7301\n    exec: /usr\n',
    ['4:11 services.a.exec: /usr is a folder (name the program in it)'],
  ],
  [
    'a script that stands elsewhere',
    'services:\n  a:\n    listen: 7301\n    exec: sh plain.sh\n    directory: /usr\n',
    [
      '4:14 services.a.exec: "plain.sh" is in FOLDER, and the program starts in /usr (write FOLDER/plain.sh, or remove "directory")',
    ],
  ],
  [
    'a command line in one item',
    'services:\n  a:\n    listen: 7301\n    exec: ["tr a-z A-Z | rev"]\n',
    [
      "4:12 services.a.exec[0]: there is no program \"tr a-z A-Z | rev\" in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin (no program's name has a blank: give each word by itself, or all of them to a shell: sh -c '…')",
    ],
  ],
  [
    'localhost',
    'services:\n  a:\n    listen: localhost:7301\n    exec: cat\n',
    ['3:13 services.a.listen: "localhost" is not an IP address (write 127.0.0.1:7301 or [::1]:7301)'],
  ],
  [
    'IPv6 without brackets',
    'services:\n  a:\n    listen: ::1:7301\n    exec: cat\n',
    ['3:13 services.a.listen: an IPv6 address stands in brackets (write [::1]:7301)'],
  ],
  [
    'brackets without quotes',
    'services:\n  a:\n    listen: [::1]:7301\n    exec: cat\n',
    ['3:18 an address that begins with "[" must be quoted (write "[::1]:7301")'],
  ],
  [
    'a star without quotes',
    'services:\n  a:\n    listen: *:7301\n    exec: cat\n',
    ['3:13 services.a.listen: an address that begins with "*" must be quoted (write "*:7301")'],
  ],
  [
    'a colon and no address',
    'services:\n  a:\n    listen: :7301\n    exec: cat\n',
    ['3:13 services.a.listen: there is no address before the colon (write 7301 or *:7301)'],
  ],
  [
    'another protocol',
    'services:\n  a:\n    listen: 7301/sctp\n    exec: cat\n',
    ['3:13 services.a.listen: unknown protocol "sctp" (write /tcp, /udp, /tcp4, /tcp6, /udp4 or /udp6)'],
  ],
  [
    'a range that runs backwards',
    'services:\n  a:\n    listen: 7310-7301\n    exec: cat\n',
    ['3:13 services.a.listen: the range 7310-7301 runs backwards (write 7301-7310)'],
  ],
  [
    'a URL',
    'services:\n  a:\n    listen: tcp://127.0.0.1:7301\n    exec: cat\n',
    ['3:13 services.a.listen: "tcp://" is no part of an address (write 127.0.0.1:7301)'],
  ],
  [
    'a protocol in front',
    'services:\n  a:\n    listen: tcp:7301\n    exec: cat\n  b:\n    listen: udp:127.0.0.1:7302\n    exec: cat\n',
    [
      '3:13 services.a.listen: "tcp:" is no part of an address (write 7301)',
      '6:13 services.b.listen: "udp:" is no part of an address (write 127.0.0.1:7302/udp)',
    ],
  ],
  [
    'a UDP service of /etc/services',
    'services:\n  a:\n    listen: tftp\n    exec: cat\n',
    ['3:13 services.a.listen: "tftp" is a port of UDP alone (write tftp/udp)'],
  ],
  [
    'a port that is taken',
    'services:\n  a: {listen: 7301, exec: cat}\n  b: {listen: 127.0.0.1:7301, exec: cat}\n',
    [
      '3:15 services.b.listen: 127.0.0.1:7301 is already taken by services.a.listen (FOLDER/services.yaml:2:15) (give one of them another port or address, or "enabled: false")',
    ],
  ],
  [
    'a service twice',
    'services:\n  a: {listen: 7301, exec: cat}\n  a: {listen: 7302, exec: cat}\n',
    ['3:3 services: duplicate key "a": the first is at FOLDER/services.yaml:2:3 (remove one of them)'],
  ],
  [
    'an address of another machine',
    'services:\n  a:\n    listen: 10.99.99.99:7301\n    exec: cat\n',
    [
      '3:13 services.a.listen: this machine has no address 10.99.99.99 (its addresses are 127.0.0.1, ::1, 192.0.2.7, 2001:db8::7; for one that comes later: "socket: {freebind: true}")',
    ],
  ],
  [
    'a port for root',
    'services:\n  a:\n    listen: 22\n    exec: cat\n',
    [
      '3:13 services.a.listen: stdiod has no right to bind port 22 (run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up)',
    ],
    asAlice,
  ],
  [
    'a user for root',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    user: root\n',
    ['5:11 services.a.user: only root can start a program as user root (run stdiod as root, or remove "user")'],
    asAlice,
  ],
  [
    'a user that is not there',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    user: www\n',
    ['5:11 services.a.user: unknown user "www" (create it (useradd --system www), or name another one)'],
  ],
  [
    'a user with a group',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    user: nobody:www-data\n',
    ['5:11 services.a.user: "nobody:www-data" is no user (write "user: nobody" and "group: www-data")'],
  ],
  [
    'a number in env',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    env: {A: 1}\n',
    ['5:14 services.a.env.A: expected a string, got the number 1 (quote it: "1")'],
  ],
  [
    'a number in exec',
    'services:\n  a:\n    listen: 7301\n    exec: [sleep, 5]\n',
    ['4:19 services.a.exec[1]: expected a string, got the number 5 (quote it: "5")'],
  ],
  [
    'seconds without a unit',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    stop_grace: 30\n',
    ['5:17 services.a.stop_grace: expected a string, got the number 30 (write 30s)'],
  ],
  [
    'a percent sign',
    'services:\n  a:\n    listen: 7301\n    exec: date +%H\n',
    ['4:17 services.a.exec: "%" begins a placeholder (write %% for a percent sign)'],
  ],
  [
    'an empty file',
    '',
    ['0:0 the file is empty (say at least what to serve: "services: {echo: {listen: 7007, exec: cat}}")'],
  ],
  [
    'camelCase',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    maxConnections: 5\n',
    ['5:5 services.a: unknown key "maxConnections"; did you mean "max_connections"?'],
  ],
  [
    'a line too far in',
    'services:\n  a:\n    listen: 7301\n     exec: cat\n',
    [
      '3:13 a second ": " on one line, or a line that is indented too far (quote the value, or indent the line as the one above it)',
    ],
  ],
  [
    'a quote of the shell left open',
    "services:\n  a:\n    listen: 7301\n    exec: echo 'abc\n",
    ["4:16 services.a.exec: the quote ' is not closed (close it, or write \\' for the character)"],
  ],
  [
    'a quote of YAML left open',
    'services:\n  a:\n    listen: 7301\n    exec: "cat\n',
    ['4:11 the quote that begins here is not closed (close it)'],
  ],
  ['JSON', '{"services": {"a": {"listen": 7301, "exec": "cat"}}}', []],
  [
    'a name with a blank',
    'services:\n  my service: {listen: 7301, exec: cat}\n',
    [
      '2:3 services: "my service" is not a name for a service (use letters, digits, ".", "_" and "-", and begin with a letter or digit)',
    ],
  ],
  [
    'datagrams without wait',
    'services:\n  a:\n    listen: 7301/udp\n    exec: cat\n    wait: false\n',
    [
      '5:11 services.a.wait: a datagram (FOLDER/services.yaml:3:5) has no connection to hand over (leave out "wait", or set it to true)',
    ],
  ],
  [
    'a folder that is not there',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    directory: /no/where\n',
    ['5:16 services.a.directory: /no/where does not exist (correct the path)'],
  ],
  [
    'an include that is not there',
    'include: /no/such.yaml\n',
    ['1:10 include: /no/such.yaml cannot be found (correct the path, or use a pattern if the file may be missing)'],
  ],
  [
    'a Unix socket in no folder',
    'services:\n  a:\n    listen: unix:/no/where/x\n    exec: cat\n',
    ['3:13 services.a.listen: the folder /no/where does not exist (create it)'],
  ],
  [
    'no blank after the colon',
    'services:\n  a:\n    listen:7301\n    exec: cat\n',
    ['3:5 a blank is missing after the ":" (write "listen: 7301")'],
  ],
  [
    'no colon',
    'services:\n  a:\n    listen: 7301\n    exec cat\n',
    ['4:5 a ":" is missing after the key (write "exec: cat")'],
  ],
  [
    'a bare minus in a list',
    'services:\n  a:\n    listen: 7301\n    exec: [gzip, -]\n',
    ['4:18 a "-" alone in a list must be quoted (write "-")'],
  ],
  [
    'ports, as compose says',
    'services:\n  a:\n    ports: 7301\n    exec: cat\n',
    ['3:5 services.a: unknown key "ports"; did you mean "listen"?'],
  ],
  [
    'command, as compose says',
    'services:\n  a:\n    listen: 7301\n    command: cat\n',
    ['4:5 services.a: unknown key "command"; did you mean "exec"?'],
  ],
  [
    'working_dir, as compose says',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    working_dir: /tmp\n',
    ['5:5 services.a: unknown key "working_dir"; did you mean "directory"?'],
  ],
  [
    'env as a list, as compose writes it',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    env:\n      - FOO=bar\n',
    ['6:7 services.a.env: expected a map, got a list (write a map: {FOO: "bar"})'],
  ],
  [
    'exec as a map',
    'services:\n  a:\n    listen: 7301\n    exec: {command: cat}\n',
    [
      '4:11 services.a.exec: expected a string or a list, got a map (write one line, "exec: PROGRAM ARGUMENT…", or a list of words)',
    ],
  ],
  [
    'a mode without quotes',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    umask: 0027\n',
    ['5:12 services.a.umask: expected a string, got the number 27 (write the mode in quotes: "0027")'],
  ],
  [
    'tls',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    tls: true\n',
    [
      '5:5 services.a: unknown key "tls" (there is no TLS here: put stunnel, HAProxy or nginx before the service, and let it listen on 127.0.0.1)',
    ],
  ],
  [
    'timeout',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    timeout: 30s\n',
    ['5:5 services.a: unknown key "timeout" (put the time, such as 10m, in "session_timeout")'],
  ],
  [
    'restart',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    restart: always\n',
    [
      '5:5 services.a: unknown key "restart" ("restart" is docker compose\'s word: leave it out: a program is started for each connection)',
    ],
  ],
  [
    'max_conns',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    max_conns: 5\n',
    ['5:5 services.a: unknown key "max_conns"; did you mean "max_connections"?'],
  ],
  [
    'a file for the log',
    'log: {file: /tmp/x, level: debug}\nservices:\n  a:\n    listen: 7301\n    exec: cat\n',
    [
      '1:7 log: unknown key "file" (events go to standard error: 2>>FILE puts them in a file, systemd in its journal)',
      '1:21 log: unknown key "level" (leave it out: every event is written; a reader such as jq picks some)',
    ],
  ],
  [
    'two typing errors',
    'services:\n  a:\n    lisen: 7301\n    exce: cat\n',
    [
      '3:5 services.a: unknown key "lisen"; did you mean "listen"?',
      '4:5 services.a: unknown key "exce"; did you mean "exec"?',
    ],
  ],
  [
    'groups, as xinetd says it',
    'services:\n  a:\n    listen: 7301\n    exec: cat\n    groups: yes\n',
    ['5:13 services.a.groups: expected a list, got "yes" (leave it out: the user\'s own groups are the default)'],
  ],
  [
    'instances at the top',
    'services:\n  a:\n    listen: 7301\n    exec: cat\ninstances: 5\n',
    [
      '5:1 unknown key "instances" ("instances" is xinetd\'s word: put the number in "max_connections" of a service, or of "defaults")',
    ],
  ],
  [
    'inetd.conf',
    '# <service_name> <sock_type> …\nident  stream  tcp  nowait  nobody  /bin/cat  in.identd\n',
    [
      '2:1 this is an inetd.conf, which stdiod does not read (write it as YAML: "Moving here from another super-server" in docs/operations.md says what each word is here)',
    ],
  ],
  [
    'xinetd.conf',
    'defaults\n{\n        instances = 60\n}\nincludedir /etc/xinetd.d\n',
    [
      '1:1 this is a configuration of xinetd, which stdiod does not read (write it as YAML: "Moving here from another super-server" in docs/operations.md says what each word is here)',
    ],
  ],
  [
    'a file of xinetd.d',
    '# default: off\nservice rsync\n{\n        disable = yes\n}\n',
    [
      '2:1 this is a configuration of xinetd, which stdiod does not read (write it as YAML: "Moving here from another super-server" in docs/operations.md says what each word is here)',
    ],
  ],
  [
    'a socket unit',
    '[Unit]\nDescription=x\n\n[Socket]\nListenStream=80\n',
    [
      '1:1 this is a unit of systemd, which stdiod does not read (write it as YAML: "Moving here from another super-server" in docs/operations.md says what each word is here)',
    ],
  ],
];

test.each(MISTAKES.map(([what, yaml, answers, machine = {}]) => [what, yaml, answers, machine] as const))(
  '%s',
  (_what, yaml, answers, machine) => {
    const problems = problemsOf(yaml, machine, join(folder, 'services.yaml'));
    expect(problems.map((problem) => problem.replaceAll(folder, 'FOLDER'))).toEqual(answers);
  },
);
