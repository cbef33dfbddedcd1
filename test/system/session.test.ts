/**
 * Sessions that have to end.
 */
import { connectTo, exchange } from './client';
import { startDaemon } from './daemon';
import { endAll } from './endings';
import { fixture } from './fixtures';
import { isRunning } from './proc';

afterEach(endAll);

function serve(exec: string, more: string): string {
  return `services: {it: {listen: "127.0.0.1:0", exec: ${exec}, stop_grace: 100ms, ${more}}}\n`;
}

describe('session_timeout', () => {
  test('ends a session after that time, and its client sees the end', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 300ms, max_connections: 1'));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('');
    const reaped = await daemon.waitFor('reaped');
    expect(reaped).toMatchObject({ signal: 'SIGTERM', reason: 'session-timeout', children: 0 });
    expect(reaped.duration).toBeGreaterThanOrEqual(0.3);
    expect([reaped.hint, daemon.all('terminating')]).toEqual([undefined, []]);
  });

  test('ends with SIGKILL what does not leave at SIGTERM', async () => {
    const daemon = await startDaemon(serve(fixture('ignores-sigterm.sh'), 'session_timeout: 2s'));
    const client = await connectTo(daemon.port());
    expect(await client.line()).toBe('ready');
    const { pid } = await daemon.waitFor('accepted');
    await client.rest();
    expect(await daemon.waitFor('reaped')).toMatchObject({ pid, signal: 'SIGKILL', reason: 'session-timeout' });
    expect(isRunning(pid)).toBe(false);
  });

  test('is counted from the start of each', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 400ms'));
    const first = await connectTo(daemon.port());
    await daemon.waitFor('accepted', { peer: first.address });
    const second = await connectTo(daemon.port());
    await Promise.all([first.rest(), second.rest()]);
    const reaped = await daemon.waitForCount('reaped', 2);
    for (const { duration, reason } of reaped) {
      expect(reason).toBe('session-timeout');
      expect(duration).toBeGreaterThanOrEqual(0.4);
    }
  });

  test('is no concern of one that has ended by itself', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 1h'));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect((await daemon.waitFor('reaped')).reason).toBeUndefined();
  });

  test('stays for a session what it was when that began, whatever a reload says', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 1s'));
    const port = daemon.port();
    const early = await connectTo(port);
    await daemon.waitFor('accepted');
    daemon.configure(serve('cat', ''));
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ changed: ['it'] });
    const late = await connectTo(port);
    await late.ask('hello');
    await early.rest();
    expect(await daemon.waitFor('reaped')).toMatchObject({ reason: 'session-timeout' });
    expect(await late.ask('still here')).toBe('still here');
  });

  test('holds for built-ins', async () => {
    const daemon = await startDaemon(`
defaults: {session_timeout: 300ms, stop_grace: 100ms}
services: {echo: {listen: "127.0.0.1:0", builtin: echo}}
`);
    const client = await connectTo(daemon.port('echo'));
    await client.rest();
    expect(await daemon.waitFor('reaped', { service: 'echo' })).toMatchObject({ reason: 'session-timeout' });
  });
});
