/**
 * What messages advise where stdiod has no key: programs that change what a child may do, and then become the service.
 */
import { COMPOSE, SYSTEMD, XINETD, ABSENT, type Words } from '../../src/config/keys/foreign-words';

test('no message advises to put another program before one’s own, of which nothing here says that it works', () => {
  const tables: readonly Words[] = [XINETD, SYSTEMD, COMPOSE, ABSENT];
  const texts = tables.flatMap((words) => Object.values(words)).filter((advice) => typeof advice === 'string');
  const advised = texts.flatMap((text) => /write exec: (?!\[|\/|chroot)(.*) PROGRAM$/.exec(text)?.[1] ?? []);
  expect(advised).toEqual([]);
});
