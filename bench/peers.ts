// The other super-servers: where each is found, and how it is told to serve one program in the foreground with
// its limits lifted, its look-ups and its logging off. Used by the throughput benchmark.

import { accessSync, constants, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import type { Launch } from './daemon';

/** What is to be served where, and a folder for configuration files. */
export interface Site {
  readonly folder: string;
  readonly port: number;
  /** One more for the same program, of those who serve several. */
  readonly otherPort?: number;
  readonly program: string;
}

export interface Peer {
  readonly name: string;
  readonly debianPackage: string;
  readonly binary: string;
  /** For busybox: the part of it that must have been built in. */
  readonly applet?: string;
  /** More than one port in one process. */
  readonly servesSeveral?: true;
  launch(binary: string, site: Site): Launch;
}

const manyInstances = '10000';
const manyPerMinute = '100000000';
const user = os.userInfo().username;

export const peers: readonly Peer[] = [
  {
    name: 'xinetd',
    debianPackage: 'xinetd',
    binary: 'xinetd',
    servesSeveral: true,
    launch(binary, site) {
      const file = configure(site, 'xinetd', xinetdConfig(site));
      const pidFile = path.join(site.folder, 'xinetd.pid');
      return { argv: [binary, '-dontfork', '-f', file, '-pidfile', pidFile, '-filelog', '/dev/null'] };
    },
  },
  {
    name: 'openbsd-inetd',
    debianPackage: 'openbsd-inetd',
    binary: 'inetd',
    servesSeveral: true,
    launch: (binary, site) => ({
      argv: [binary, '-i', '-R', manyPerMinute, '-q', '4096', configure(site, 'openbsd-inetd', inetdConfig(site))],
    }),
  },
  {
    name: 'inetutils-inetd',
    debianPackage: 'inetutils-inetd',
    binary: 'inetutils-inetd',
    servesSeveral: true,
    // Its foreground mode is its debug mode, which prints for each connection: it serves from the background.
    launch(binary, site) {
      const pidFile = path.join(site.folder, 'inetutils-inetd.pid');
      const file = configure(site, 'inetutils-inetd', inetdConfig(site));
      return { argv: [binary, '-R', manyPerMinute, `--pidfile=${pidFile}`, file], pidFile };
    },
  },
  {
    name: 'rlinetd',
    debianPackage: 'rlinetd',
    binary: 'rlinetd',
    servesSeveral: true,
    launch: (binary, site) => ({
      argv: [binary, '-d', '-f', configure(site, 'rlinetd', rlinetdConfig(site)), ...rlinetdParser(binary)],
    }),
  },
  {
    name: 'tcpserver',
    debianPackage: 'ucspi-tcp',
    binary: 'tcpserver',
    launch: (binary, { port, program }) => ({
      argv: [binary, '-qHR', '-l0', '-c', manyInstances, '-b', '4096', '127.0.0.1', String(port), program],
    }),
  },
  {
    name: 'tcpsvd',
    debianPackage: 'ipsvd',
    binary: 'tcpsvd',
    launch: (binary, { port, program }) => ({
      argv: [binary, '-l', '0', '-c', manyInstances, '-b', '4096', '127.0.0.1', String(port), program],
    }),
  },
  {
    name: 'busybox-inetd',
    debianPackage: 'busybox',
    binary: 'busybox',
    applet: 'inetd',
    servesSeveral: true,
    launch: (binary, site) => ({
      argv: [binary, 'inetd', '-f', '-R', '0', '-q', '4096', configure(site, 'busybox-inetd', inetdConfig(site))],
    }),
  },
  {
    name: 'busybox-tcpsvd',
    debianPackage: 'busybox',
    binary: 'busybox',
    applet: 'tcpsvd',
    launch: (binary, { port, program }) => ({
      argv: [binary, 'tcpsvd', '-l', '0', '-c', manyInstances, '-b', '4096', '127.0.0.1', String(port), program],
    }),
  },
  {
    name: 'systemd',
    debianPackage: 'systemd',
    binary: 'systemd-socket-activate',
    launch: (binary, { port, program }) => ({
      argv: [binary, '-l', `127.0.0.1:${port}`, '--inetd', '-a', program],
      env: { SYSTEMD_LOG_LEVEL: 'warning' },
    }),
  },
  {
    name: 'socat',
    debianPackage: 'socat',
    binary: 'socat',
    // nofork: the forked copy of socat becomes the program, with the real socket, as with the others.
    launch: (binary, { port, program }) => ({
      argv: [binary, `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=4096`, `EXEC:${program},nofork`],
    }),
  },
  {
    name: 'ncat',
    debianPackage: 'ncat',
    binary: 'ncat',
    launch: (binary, { port, program }) => ({
      argv: [binary, '-l', '-k', '-m', manyInstances, '-e', program, '127.0.0.1', String(port)],
    }),
  },
];

/** The path of the peer's binary, or why it cannot run. */
export function findPeer(peer: Peer): { readonly path: string } | { readonly missing: string } {
  const found = searchFolders()
    .map((folder) => path.join(folder, peer.binary))
    .find(isExecutable);
  if (found === undefined) return { missing: `not installed (Debian package ${peer.debianPackage})` };
  if (peer.applet !== undefined && !hasApplet(found, peer.applet)) {
    return { missing: `this busybox was built without ${peer.applet}` };
  }
  return { path: found };
}

function searchFolders(): string[] {
  const folders = `${process.env['STDIOD_BENCH_PATH'] ?? ''}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  return folders.split(':').filter(Boolean);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function hasApplet(busybox: string, applet: string): boolean {
  return execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').includes(applet);
}

function configure(site: Site, name: string, text: string): string {
  const file = path.join(site.folder, `${name}.conf`);
  writeFileSync(file, text);
  return file;
}

function portsOf({ port, otherPort }: Site): number[] {
  return otherPort === undefined ? [port] : [port, otherPort];
}

function inetdConfig(site: Site): string {
  const line = (port: number) => `127.0.0.1:${port} stream tcp nowait ${user} ${site.program} hello\n`;
  return portsOf(site).map(line).join('');
}

function xinetdConfig(site: Site): string {
  const service = (port: number) => `service hello
{
  id = hello-${port}
  type = UNLISTED
  socket_type = stream
  protocol = tcp
  wait = no
  bind = 127.0.0.1
  port = ${port}
  user = ${user}
  server = ${site.program}
  instances = UNLIMITED
  per_source = UNLIMITED
  cps = 10000000 1
  flags = NOLIBWRAP
}
`;
  return portsOf(site).map(service).join('');
}

function rlinetdConfig(site: Site): string {
  const service = (port: number) => `service "hello-${port}" {
  port ${port};
  interface 127.0.0.1;
  instances ${manyInstances};
  backlog 4096;
  user "${user}";
  exec "${site.program}";
}
`;
  return portsOf(site).map(service).join('');
}

/** It looks for its parser in a fixed folder, which is not where an unpacked package has it. */
function rlinetdParser(binary: string): string[] {
  const lib = path.join(path.dirname(binary), '..', 'lib');
  const architectures = existsSync(lib) ? readdirSync(lib) : [];
  const parser = architectures.map((folder) => path.join(lib, folder, 'rlinetd', 'libparse.so')).find(existsSync);
  return parser === undefined ? [] : ['-p', parser];
}
