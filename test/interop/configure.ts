/**
 * The configurations that the tests serve: one service of their own, or a shipped file on ports that the kernel chooses.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../system/daemon';
import { project } from '../system/fixtures';
import { makeTestFolder } from './files';

/** @param exec the words of the command; @param more further keys of the service */
export function oneService(exec: readonly string[], more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ services: { it: { listen: '127.0.0.1:0', exec, ...more } } });
}

/** As `daemon.port`, also where the address ends with its protocol. */
export function portOf(daemon: Daemon, service?: string): number {
  const [found] = daemon.all('listening').filter((event) => service === undefined || event.service === service);
  const port = /:(\d+)(\/\w+)?$/.exec(found?.address ?? '')?.[1];
  if (port === undefined) throw new Error(`${service ?? 'nothing'} listens: ${daemon.stderr}`);
  return Number(port);
}

/** Loopback, for programs that are asked over IPv4 and over IPv6. */
export const BOTH_FAMILIES = ['127.0.0.1:0', '[::1]:0'];

const SHIPPED_FOLDERS = ['config', 'services', 'dist/services'];

/** All that is served as it is shipped, in a folder that every user of a service can reach, unlike perhaps the checkout. */
export class Shipped {
  readonly folder = makeTestFolder();

  constructor() {
    for (const name of SHIPPED_FOLDERS) cpSync(join(project, name), join(this.folder, name), { recursive: true });
    for (const name of readdirSync(this.folder, { recursive: true }) as string[])
      chmodSync(join(this.folder, name), 0o755);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Replaces what a user would adapt to the machine. It must be there: the test would no longer be about the shipped file. */
  edit(name: string, from: string | RegExp, to: string): void {
    const before = readFileSync(this.path(name), 'utf8');
    const after = before.replaceAll(from, to);
    if (after === before) throw new Error(`${name} does not contain ${String(from)}`);
    writeFileSync(this.path(name), after);
  }

  /** @param name `git.yaml`; @param listen in place of every address */
  async start(name: string, listen = '127.0.0.1:0'): Promise<Daemon> {
    const file = `config/${name}`;
    this.edit(file, /(?<=^ +listen: )127\.0\.0\.1:\d+/gm, listen);
    const daemon = new Daemon(this.folder, ['run', '-c', this.path(file)], {});
    await daemon.untilReady();
    return daemon;
  }
}

/** What an MCP server does on stdin and stdout, and on stderr. */
const MCP_SERVER = `#!/usr/bin/env node
console.error('Starting default (STDIO) server...');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result: { method, session: process.pid } }));
});
`;

/** A server in the place that config/mcp.yaml names, of the shape that the real one has. */
export function putMcpServer(shipped: Shipped): void {
  const folder = 'mcp/node_modules/.bin';
  mkdirSync(shipped.path(folder), { recursive: true });
  writeFileSync(shipped.path(`${folder}/mcp-server-everything`), MCP_SERVER, { mode: 0o755 });
  shipped.edit('config/mcp.yaml', 'exec: /srv/mcp', `exec: ${shipped.path('mcp')}`);
}
