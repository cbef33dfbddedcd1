/**
 * A connection that is lost to a failure.
 */
import { clientThatSent } from './client';
import type { Daemon } from './daemon';

/** A client that has sent something sees an end and no reset; the drop is told with its step. */
export async function expectDrop(daemon: Daemon, step: string, error: string): Promise<void> {
  const client = await daemon.whileStopped(() => clientThatSent(daemon.port(), 'x'.repeat(10_000)));
  expect(await client.rest()).toBe('');
  const dropped = await daemon.waitFor('dropped', { peer: client.address });
  expect(dropped).toMatchObject({ service: 'it', step, error });
  client.end();
}
