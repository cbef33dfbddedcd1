/**
 * What messages advise where stdiod has no key: programs that change what a child may do, and then become the service.
 */
import { COMPOSE, SYSTEMD, XINETD, ABSENT, type Words } from '../../src/config/keys/foreign-words';
import { exchange } from '../system/client';
import { type Daemon, startDaemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { findProgram } from '../system/machine';
import { portOf } from './configure';

afterEach(endAll);

async function serve(services: Readonly<Record<string, readonly string[]>>): Promise<Daemon> {
  const entries = Object.entries(services).map(([name, exec]) => [name, { listen: '127.0.0.1:0', exec }] as const);
  return startDaemon(JSON.stringify({ services: Object.fromEntries(entries) }));
}

test('a shell sends a banner, and becomes the program', async () => {
  const daemon = await serve({ it: ['sh', '-c', `cat /proc/sys/kernel/ostype; exec ${findProgram('cat')}`] });
  expect(await exchange(portOf(daemon), 'hello\n')).toBe('Linux\nhello\n');
});

test('no message advises to put another program before one’s own, of which nothing here says that it works', () => {
  const tables: readonly Words[] = [XINETD, SYSTEMD, COMPOSE, ABSENT];
  const texts = tables.flatMap((words) => Object.values(words)).filter((advice) => typeof advice === 'string');
  const advised = texts.flatMap((text) => /write exec: (?!\[|\/|chroot)(.*) PROGRAM$/.exec(text)?.[1] ?? []);
  expect(advised).toEqual([]);
});
