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

/** Each with a program that tells whether it is so. */
const RECIPES: readonly (readonly [recipe: string, program: readonly string[], answer: RegExp])[] = [
  ['timeout 10m', ['sh', '-c', 'cat /proc/$PPID/comm'], /^timeout\n$/],
];

async function serve(services: Readonly<Record<string, readonly string[]>>): Promise<Daemon> {
  const entries = Object.entries(services).map(([name, exec]) => [name, { listen: '127.0.0.1:0', exec }] as const);
  return startDaemon(JSON.stringify({ services: Object.fromEntries(entries) }));
}

test.each(RECIPES)('%s does what is wanted', async (recipe, program, answer) => {
  const daemon = await serve({ it: [...recipe.split(' '), ...program] });
  expect(await exchange(portOf(daemon), '')).toMatch(answer);
});

test('a shell sends a banner, and becomes the program', async () => {
  const daemon = await serve({ it: ['sh', '-c', `cat /proc/sys/kernel/ostype; exec ${findProgram('cat')}`] });
  expect(await exchange(portOf(daemon), 'hello\n')).toBe('Linux\nhello\n');
});

test('every program that a message advises to put before one’s own is among them', () => {
  const tables: readonly Words[] = [XINETD, SYSTEMD, COMPOSE, ABSENT];
  const texts = tables.flatMap((words) => Object.values(words)).filter((advice) => typeof advice === 'string');
  const advised = texts.flatMap((text) => /write exec: (?!\[|\/|chroot)(.*) PROGRAM$/.exec(text)?.[1] ?? []);
  expect([...new Set(advised)].sort()).toEqual(RECIPES.map(([recipe]) => recipe).sort());
});
