/**
 * MCP's stdio servers over TCP, as config/mcp.yaml serves them: lines of JSON both ways, and nothing else on the connection.
 */
import { connectTo } from '../system/client';
import { endAll } from '../system/endings';
import { putMcpServer, Shipped } from './configure';
import { NODE_FOR_EVERYBODY, testNeeding } from './needs';

afterEach(endAll);

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

testNeeding(NODE_FOR_EVERYBODY)(
  'each session has a process, whose reports go to the log and not to the client',
  async () => {
    const shipped = new Shipped();
    putMcpServer(shipped);
    const daemon = await shipped.start('mcp.yaml');
    const clients = [await connectTo(daemon.port()), await connectTo(daemon.port())];
    const answers = await Promise.all(clients.map((client) => client.ask(PING)));
    const pids = (await daemon.waitForCount('accepted', 2)).map(({ pid }) => pid);
    const expected = pids.map((session) => `{"jsonrpc":"2.0","id":1,"result":{"method":"ping","session":${session}}}`);
    expect(answers.sort()).toEqual(expected.sort());
    const said = await daemon.waitForCount('said', 2);
    expect(said.map(({ line }) => line)).toEqual(Array(2).fill('Starting default (STDIO) server...'));
  },
);

testNeeding(NODE_FOR_EVERYBODY)('a session ends when its client leaves', async () => {
  const shipped = new Shipped();
  putMcpServer(shipped);
  const daemon = await shipped.start('mcp.yaml');
  const client = await connectTo(daemon.port());
  await client.ask(PING);
  client.end();
  expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
});
