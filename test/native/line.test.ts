/**
 * The one line that the daemon may read of a connection, and its answer: native/line.cc.
 */
import { inFreshProcess } from './fresh-process';

describe('a line', () => {
  test('is read to its end and not a byte beyond: the rest is for the program', async () => {
    const seen = await inFreshProcess(async ({ addon, connection, plan, readAll, until, openReaper }) => {
      openReaper();
      const { client, socket } = await connection();
      client.end('echo\r\nfirst line\nsecond line\n');
      const line = await until(() => addon.readLine(socket.fd, 256));
      addon.spawn(plan(['/bin/cat']), { fd: socket.fd, facts: '' });
      return { line, rest: await readAll(client) };
    });
    expect(seen).toEqual({ line: { text: 'echo\r\n', isEnd: true }, rest: 'first line\nsecond line\n' });
  });

  test('may come in pieces, with nothing in between, and end with the client', async () => {
    const lines = await inFreshProcess(async ({ addon, connection, until }) => {
      const { client, socket } = await connection();
      const lines: unknown[] = [addon.readLine(socket.fd, 256)];
      for (const piece of ['ec', 'ho\n', 'x']) {
        client.write(piece);
        lines.push(await until(() => addon.readLine(socket.fd, 256)), addon.readLine(socket.fd, 256));
      }
      client.end();
      lines.push(await until(() => addon.readLine(socket.fd, 256)));
      return lines;
    });
    expect(lines).toEqual([
      null,
      { text: 'ec', isEnd: false },
      null,
      { text: 'ho\n', isEnd: true },
      null,
      { text: 'x', isEnd: false },
      null,
      { text: '', isEnd: false },
    ]);
  });

  test('is read up to the limit and no further, a newline beyond it included', async () => {
    const seen = await inFreshProcess(async ({ addon, connection, until }) => {
      const { client, socket } = await connection();
      client.write('12345678\n');
      const first = await until(() => addon.readLine(socket.fd, 8));
      return [first, addon.readLine(socket.fd, 8)];
    });
    expect(seen).toEqual([
      { text: '12345678', isEnd: false },
      { text: '\n', isEnd: true },
    ]);
  });

  test('of a client that has reset the connection is an end', async () => {
    const line = await inFreshProcess(async ({ addon, connection, until }) => {
      const { client, socket } = await connection();
      client.resetAndDestroy();
      return until(() => addon.readLine(socket.fd, 256));
    });
    expect(line).toEqual({ text: '', isEnd: false });
  });
});

test('whether a client has said anything is seen without taking it', async () => {
  const seen = await inFreshProcess(async ({ addon, connection, until }) => {
    const [here, gone] = [await connection(), await connection()];
    const early = addon.firstByte(here.socket.fd);
    here.client.write('x\n');
    await until(() => (addon.firstByte(here.socket.fd) === 'here' ? true : undefined));
    gone.client.end();
    await until(() => (addon.firstByte(gone.socket.fd) === 'left' ? true : undefined));
    return { early, again: addon.firstByte(here.socket.fd), line: addon.readLine(here.socket.fd, 256) };
  });
  expect(seen).toEqual({ early: 'none', again: 'here', line: { text: 'x\n', isEnd: true } });
});

test('our end can be sent and the connection held: its client reads all, whatever it goes on sending', async () => {
  const seen = await inFreshProcess(async ({ addon, connection, readAll, until }) => {
    const { socket, client } = await connection();
    client.write('before');
    addon.sendNow(socket.fd, 'sorry');
    const isHeld = addon.endWriting(socket.fd);
    client.write('after');
    const early = addon.passOver(socket.fd);
    const text = await readAll(client);
    client.end();
    await until(() => (addon.passOver(socket.fd) ? true : undefined));
    return { isHeld, early, text };
  });
  expect(seen).toEqual({ isHeld: true, early: false, text: 'sorry' });
});

test('an answer goes out at once, and one to a client that is gone goes nowhere', async () => {
  const seen = await inFreshProcess(async ({ addon, connection, readAll, until }) => {
    const [here, gone] = [await connection(), await connection()];
    addon.sendNow(here.socket.fd, '+Go\r\n');
    gone.client.resetAndDestroy();
    await until(() => addon.readLine(gone.socket.fd, 1));
    addon.sendNow(gone.socket.fd, '+Go\r\n');
    addon.close(here.socket.fd);
    return readAll(here.client);
  });
  expect(seen).toBe('+Go\r\n');
});
