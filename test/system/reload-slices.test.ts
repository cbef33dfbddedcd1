/**
 * A reload that adds thousands of services is a long way: clients are served on it, and what comes in its middle (a stop, another HUP)
 * finds everything as it was before, or all of it in force.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { findFreePorts } from './machine';
import { stat } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

/** A daemon that has more to bind than it can in the time of a look at the folder. */
const MANY = 1500;
/** How often a reload is begun before it is caught in its middle. */
const MOST_ATTEMPTS = 10;

const KEPT = '  kept: {listen: "127.0.0.1:0", exec: cat}\n';
const FEW = `services:\n${KEPT}`;

/** Beside those that stay: each with a path in the daemon's folder. */
function many({ folder }: Daemon, name = 'a', few = FEW): string {
  const path = join(folder, name);
  const lines = Array.from({ length: MANY }, (_, at) => `  ${name}${at}: {listen: "unix:${path}${at}", exec: cat}\n`);
  return few + lines.join('');
}

function hasPath(daemon: Daemon, name: string): boolean {
  return existsSync(join(daemon.folder, name));
}

function pathsOf(daemon: Daemon): string[] {
  return readdirSync(daemon.folder).filter((name) => name !== 'services.yaml');
}

/** Leaves the daemon stopped where it has bound the first address of a reload and not the last one. */
async function stopInTheMiddle(daemon: Daemon, before = FEW, after = FEW): Promise<void> {
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
    if (await isInTheMiddle(daemon, many(daemon, 'a', after))) return;
    daemon.signal('SIGCONT');
    await daemon.waitForCount('reloaded', 2 * attempt - 1);
    await daemon.reload(before);
    await untilTrue('they are closed', () => pathsOf(daemon).length === 0);
  }
  throw new Error('it was never caught in the middle');
}

async function isInTheMiddle(daemon: Daemon, text: string): Promise<boolean> {
  daemon.configure(text);
  daemon.signal('SIGHUP');
  const isBegun = (): boolean => hasPath(daemon, 'a0');
  while (!isBegun()) await new Promise(setImmediate);
  daemon.signal('SIGSTOP');
  await untilTrue('the daemon is stopped', () => stat(daemon.pid).state === 'T');
  return !hasPath(daemon, `a${MANY - 1}`);
}

test('clients of a service that stays are served before it is in force', async () => {
  const daemon = await startDaemon(FEW);
  await stopInTheMiddle(daemon);
  const clients = await Promise.all(Array.from({ length: 40 }, () => connectTo(daemon.port('kept'))));
  const from = daemon.events.length;
  daemon.signal('SIGCONT');
  for (const client of clients) client.send('hello\n');
  await daemon.waitFor('reloaded', { kept: 1 }, from);
  expect(await Promise.all(clients.map((client) => client.line()))).toEqual(clients.map(() => 'hello'));
  await daemon.waitForCount('accepted', 40);
  const order = daemon.events.slice(from).map(({ event }) => event);
  expect(order.indexOf('accepted')).toBeLessThan(order.indexOf('reloaded'));
  expect(order.slice(0, order.indexOf('reloaded')).filter((event) => event === 'accepted')).toHaveLength(40);
}, 120_000);

test('TERM in the middle undoes what was begun, and the end is that of any stop', async () => {
  const daemon = await startDaemon(FEW);
  await stopInTheMiddle(daemon);
  const reloads = daemon.all('reloaded').length;
  daemon.signal('SIGTERM');
  daemon.signal('SIGCONT');
  expect(await daemon.ended()).toBe(0);
  expect([pathsOf(daemon), daemon.all('reloaded').length, daemon.all('stopped').length]).toEqual([[], reloads, 1]);
}, 120_000);

test('TERM in the middle is no end for clients of a new address of a service that was there before', async () => {
  const port = await findFreePorts(1);
  const at = (address: string): string => `${FEW}  it: {listen: "${address}:${port}", exec: cat}\n`;
  const [wide, narrow] = [at('0.0.0.0'), at('127.0.0.1')];
  const daemon = await startDaemon(wide);
  await stopInTheMiddle(daemon, wide, narrow);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectTo(port)));
  daemon.signal('SIGTERM');
  daemon.signal('SIGCONT');
  for (const client of clients) client.send('hello\n');
  expect(await Promise.all(clients.map((client) => client.line()))).toEqual(clients.map(() => 'hello'));
  for (const client of clients) client.socket.destroy();
  expect(await daemon.ended()).toBe(0);
}, 120_000);

test('a second HUP in the middle is a reload of its own, and the last file is in force', async () => {
  const daemon = await startDaemon(FEW);
  await stopInTheMiddle(daemon);
  const from = daemon.events.length;
  daemon.configure(many(daemon, 'b'));
  daemon.signal('SIGHUP');
  daemon.signal('SIGCONT');
  const isSecond = ({ removed }: { removed: readonly string[] }): boolean => removed.includes('a0');
  await daemon.waitFor('reloaded', isSecond, from);
  const told = daemon.events.slice(from).flatMap((event) => (event.event === 'reloaded' ? [event.added[0]] : []));
  expect(told).toEqual(['a0', 'b0']);
  await untilTrue('what was removed is closed', () => pathsOf(daemon).length === MANY);
  expect(pathsOf(daemon).every((name) => name.startsWith('b'))).toBe(true);
  expect(await exchange(daemon.port('kept'), 'as ever')).toBe('as ever');
}, 120_000);
