import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Loaded, loadConfigurationText } from '../../../src/config/load';
import type { Machine } from '../../../src/config/machine/machine';
import { printConfiguration } from '../../../src/config/print';
import { asAlice, pretendMachine } from './pretend-machine';
import { load, withKeys } from './loading';

const ELABORATE = `
limits: {max_connections: 50}
log: {format: json}
defaults: {env: {X: "1"}, user: alice}
services:
  one:
    description: "a: b # c"
    listen: [http, "127.0.0.1:10-12", "[::1]:99", 0, 70/tcp6, 71/tcp4]
    exec: |-
      tr 'a b' "" ' #' "- x: y"
    argv0: "- odd: name"
    env: {EMPTY: "", NUMBER: "080", YES: "yes", NL: "a\\nb ", TAB: "\\t", NULL: "null", TILDE: "~", E: "\\e\\x85\\u2028é"}
    pass_env: [TZ]
    umask: "7"
    stderr: null
    socket: {nodelay: true}
    stop_grace: 2h
  two: {listen: 7, exec: cat, user: root, group: games}
  file: {listen: 9, exec: cat, stderr: ./cat.log}
  three: {listen: 8, exec: cat, user: 4242, group: 4243, groups: [games, 1]}
  off: {listen: 8, exec: ./no/such, user: nosuch, enabled: false}
  gone: {listen: 8, exec: nosuch -x, enabled: false}
`;

const SOCKETS = `
defaults: {max_connections: 5, when_full: refuse, umask: "077", socket: {nodelay: true, mode: "600", tos: 8}}
services:
  udp: {listen: [69/udp, "[::1]:70-71/udp", 0/udp4], exec: cat, wait: true, socket: {receive_buffer: 64K}}
  waits: {listen: 70, exec: cat, wait: true}
  mixed: {listen: [74, 74/udp], exec: cat, wait: true}
  unix: {listen: [unix:/tmp/a, "unix:@b"], exec: cat, socket: {mode: "7", owner: alice, group: games}}
  dgram: {listen: unix-dgram:/tmp/c, exec: cat}
  packet: {listen: "unix-seqpacket:@d", exec: cat}
  vsock: {listen: vsock:5000, exec: cat}
  passed: {listen: [fd:web, fd:4], exec: cat}
  dual: {listen: 72/tcp6, exec: cat, socket: {v6only: false, device: lo, keepalive: {idle: 5s}, user_timeout: 1s}}
  template: {listen: 73, exec: "echo %{peer.address} 5%%", argv0: "%s", env: {A: "%{fd}%%"}, directory: "/x/%{service}"}
  echo: {listen: 7, builtin: echo, user: alice, directory: /tmp}
  daytime: {listen: 13/udp, builtin: daytime, amplify: true}
  qotd: {listen: 17, builtin: qotd, quotes: /etc/passwd}
  mux: {listen: 1, builtin: tcpmux}
  named: {tcpmux: plus, exec: cat}
  both: {listen: 2, tcpmux: true, exec: cat}
  forward: {listen: 80, redirect: "www.example.org:http"}
  forward6: {listen: 81, redirect: "[::1]:8080"}
  forwardunix: {listen: 82, redirect: unix:/tmp/50%, user: alice, directory: /tmp, env: {A: b}}
  forwardabstract: {listen: "vsock:5001", redirect: "unix:@z"}
  offdgram: {listen: fd:nosuch, exec: cat, enabled: false}
`;

const PASSING: Partial<Machine> = {
  passedSockets: () => [
    { name: 'web', number: 3, type: 'stream' },
    { name: 'x', number: 4, type: 'seqpacket' },
  ],
};

test.each([
  ['as root', ELABORATE, {}],
  ['of every kind of socket and run', SOCKETS, PASSING],
  ['as another user', withKeys('group: alice\ndescription: x'), asAlice],
])('what is printed %s loads again to the same configuration', (_title, text, changes) => {
  const { configuration, effective } = load(text, changes);
  const again = load(printConfiguration(effective), changes);
  expect(again.configuration).toEqual(configuration);
  expect(printConfiguration(again.effective)).toBe(printConfiguration(effective));
});

test('shows defaults filled in and the program’s full path', () => {
  const text = printConfiguration(load(withKeys('exec: cat -u')).effective);
  expect(text).toMatch(/exec:\n +- \/.*\/cat\n +- -u\n/);
  expect(text).toContain('argv0: cat\n');
  expect(text).toContain('listen:\n      - "*:7007"\n');
  expect(text).toContain('umask: "0022"\n');
});

test('does not show what is empty, but for groups, where that is not the same', () => {
  const text = printConfiguration(
    load('services:\n  a: {listen: "fd:web", exec: cat, groups: []}\n', PASSING).effective,
  );
  expect(text).not.toMatch(/^ +(rlimits|env|pass_env):/m);
  expect(text).toContain('groups: []\n');
  expect(printConfiguration(load(withKeys('rlimits: {stack: 8M}')).effective)).toContain('rlimits:\n      stack: 8M\n');
});

test.each(readdirSync(join(__dirname, '../../../../config')).filter((name) => name.endsWith('.yaml')))(
  'config/%s is printed as what loads again to the same',
  (name) => {
    const folder = join(__dirname, '../../../../config');
    const text = readFileSync(join(folder, name), 'utf8');
    expect(againOf(text, join(folder, name))).toEqual(configurationOf(text, join(folder, name)));
  },
);

test('so is each example of the manual whose text is right by itself', () => {
  const folder = join(__dirname, '../../../../docs');
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
  const texts = pages.flatMap((page) => examplesOf(readFileSync(join(folder, page), 'utf8')));
  const served = texts.filter((text) => configurationOf(text) !== undefined);
  for (const text of served) expect(againOf(text)).toEqual(configurationOf(text));
  expect(served.length).toBeGreaterThan(5);
});

/** Whole configurations. */
function examplesOf(page: string): string[] {
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text);
  return blocks.filter((text) => text.startsWith('services:') || text.startsWith('defaults:'));
}

/** Whatever this machine lacks for it; undefined: its text is wrong. */
function loadedFrom(text: string, file = 'services.yaml'): Loaded | undefined {
  const result = loadConfigurationText(text, file, pretendMachine());
  return result.ok ? result : undefined;
}

function configurationOf(text: string, file?: string): Loaded['configuration'] | undefined {
  return loadedFrom(text, file)?.configuration;
}

/** Of what is printed for it, somewhere else. */
function againOf(text: string, file?: string): Loaded['configuration'] | undefined {
  const loaded = loadedFrom(text, file);
  return loaded && configurationOf(printConfiguration(loaded.effective), '/elsewhere.yaml');
}

test('does not show the values of variables that are passed on', () => {
  expect(printConfiguration(load(withKeys('pass_env: [SECRET]')).effective)).not.toContain('SECRET: ');
});

test('a result can cross to another thread', () => {
  const result = load(ELABORATE);
  expect(structuredClone(result)).toEqual(result);
});
