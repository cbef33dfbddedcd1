/** What is sent to a client that is admitted. */
import { addon } from '../../../../src/native/addon';
import { withBanner } from '../../../../src/server/handlers/banner';
import type { Handler } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendServer } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({ addon: { sendNow: jest.fn() } }));

test('a client that is kept for want of a process is greeted once', () => {
  const server = new PretendServer();
  const take = jest.fn<'taken' | 'processes', []>().mockReturnValueOnce('processes').mockReturnValue('taken');
  const program: Handler = { isBusy: true, isHeldUp: true, take };
  const handler = withBanner('hello %{connection}', program);
  const connection = server.connect(server.listen(hostedService({}, { handler })), 7);
  expect([handler.take(connection), handler.take(connection)]).toEqual(['processes', 'taken']);
  expect(jest.mocked(addon).sendNow.mock.calls).toEqual([[7, 'hello c7']]);
  expect([handler.isBusy, handler.isHeldUp, take.mock.calls.length]).toEqual([true, true, 2]);
});
