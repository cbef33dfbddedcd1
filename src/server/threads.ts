/**
 * libuv starts its threads when an asynchronous call first needs one, and aborts the process when the system refuses them. That
 * must not be while clients are served and the limit on processes is reached: they are started before.
 */
import { stat } from 'node:fs/promises';
import { addon } from '../native/addon';

const SIZE = 'UV_THREADPOOL_SIZE';

/** One is enough: nothing that stdiod does for a client goes through them. */
export async function startThreads(): Promise<void> {
  const before = process.env[SIZE];
  process.env[SIZE] = '1';
  await stat('/');
  addon.startAside();
  if (before === undefined) Reflect.deleteProperty(process.env, SIZE);
  else process.env[SIZE] = before;
}
