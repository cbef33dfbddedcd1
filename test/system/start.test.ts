/**
 * The first moments of a daemon, and what it needs to have done by the time that it serves.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { Daemon, startDaemon } from './daemon';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { asOther, setSoftLimit, testAsOther } from './machine';
import { withPreload } from './preload';
import { link } from './proc';

afterEach(endAll);

const ECHO = 'services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n';

describe('the process', () => {
  const nameOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  const wordsOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '');

  test('is called stdiod in ps, top, pgrep and killall, with the words that it was started with', async () => {
    const daemon = await startDaemon(ECHO);
    expect(nameOf(daemon.pid)).toBe('stdiod');
    expect(wordsOf(daemon.pid)).toBe(`stdiod run -c ${join(daemon.folder, 'services.yaml')}`);
  });

  test('hands neither on to its children', async () => {
    const daemon = await startDaemon(ECHO);
    const client = await connectTo(daemon.port());
    expect(await client.ask('hello')).toBe('hello');
    const { pid } = await daemon.waitFor('accepted');
    expect([nameOf(pid), wordsOf(pid)]).toEqual(['cat', 'cat']);
  });

  test('keeps it over a reload, which has a thread of its own', async () => {
    const daemon = await startDaemon(ECHO);
    await daemon.reload(ECHO);
    expect(nameOf(daemon.pid)).toBe('stdiod');
  });
});

describe('a HUP before stdiod serves', () => {
  /** It comes as the first of what the verbs need is loaded. */
  const HUP_EARLY = `
    const Module = require('node:module');
    const load = Module._load;
    Module._load = (request, ...rest) => {
      if (/verbs/.test(request) && isMainThread) {
        Module._load = load;
        process.kill(process.pid, 'SIGHUP');
      }
      return load(request, ...rest);
    };`;

  test('is a reload once it does', async () => {
    const daemon = await startDaemon(ECHO, { env: withPreload(HUP_EARLY) });
    expect(await daemon.waitFor('reloaded')).toMatchObject({ kept: 1 });
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });
});

describe('the threads of libuv', () => {
  const ASK = `
    if (isMainThread) process.on('SIGUSR1', () => {
      require('node:fs').stat('/', () => process.kill(process.pid, 'SIGHUP'));
    });`;

  testAsOther('are there before any client: a limit on processes does not end stdiod', async () => {
    const daemon = await startDaemon(ECHO, { env: withPreload(ASK), wrapper: asOther });
    setSoftLimit(daemon.pid, 'nproc', 1, asOther);
    daemon.signal('SIGUSR1');
    await daemon.waitFor('rejected');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('the folder in which stdiod was started', () => {
  test('may go: it is not held, and HUP works', async () => {
    const folder = makeFolder();
    const daemon = await startDaemon(ECHO, { cwd: folder });
    expect(link(daemon.pid, 'cwd')).toBe('/');
    rmSync(folder, { recursive: true });
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ kept: 1 });
  });

  test('gives a relative -c its meaning once: as the path that it was then', async () => {
    const folder = makeFolder();
    for (const name of ['now', 'later']) mkdirSync(join(folder, name));
    const [now, later] = [join(folder, 'now'), join(folder, 'later')];
    writeFileSync(join(now, 'it.yaml'), ECHO);
    const daemon = new Daemon(folder, ['run', '-c', 'it.yaml'], { cwd: now });
    await daemon.untilReady();
    renameSync(now, join(folder, 'before'));
    renameSync(later, now);
    writeFileSync(join(now, 'it.yaml'), ECHO.replace('cat', 'tac'));
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ changed: ['echo'] });
  });
});
