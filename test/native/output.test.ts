/**
 * The one write that never waits: native/output.cc.
 */
import { inFreshProcess } from './fresh-process';

test('a full pipe takes 0 bytes, and more once its reader has read', async () => {
  const seen = await inFreshProcess(({ addon, fs, fifo, fillWith }) => {
    const pipe = fifo();
    const page = Buffer.alloc(4096, 'x');
    const taken = fillWith(() => addon.writeSome(pipe, page, false, true));
    fs.readSync(pipe, Buffer.alloc(4096));
    return {
      taken,
      again: addon.writeSome(pipe, page, false, true),
      full: addon.writeSome(pipe, page, false, true),
    };
  });
  expect(seen).toEqual({ taken: 65536, again: 4096, full: 0 });
});

test('a full socket takes 0 bytes, although it is a blocking one', async () => {
  const seen = await inFreshProcess(async ({ addon, connection, fillWith, flagsOf }) => {
    const { client, socket } = await connection();
    client.pause();
    const taken = fillWith(() => addon.writeSome(socket.fd, Buffer.alloc(65536, 'x'), true, false));
    return { isSome: taken > 0, isNonBlocking: flagsOf(socket.fd).isNonBlocking };
  });
  expect(seen).toEqual({ isSome: true, isNonBlocking: false });
});

test('a socket may take a part, and tells how much', async () => {
  const { most, part } = await inFreshProcess(async ({ addon, connection }) => {
    const { client, socket } = await connection();
    client.pause();
    const most = 64 * 1024 * 1024;
    return { most, part: addon.writeSome(socket.fd, Buffer.alloc(most), true, false) };
  });
  expect(part).toBeGreaterThan(0);
  expect(part).toBeLessThan(most);
});

test.each(['pipe', 'socket'])('a %s without a reader is an error and no signal', async (kind) => {
  const failure = await inFreshProcess(async ({ addon, fs, connection, brokenPipe, failureOf, until }, kind) => {
    const bytes = Buffer.from('x');
    if (kind === 'pipe') return failureOf(() => addon.writeSome(brokenPipe(), bytes, false, true));
    const { client, socket } = await connection();
    client.destroy();
    const failure = await until(() => failureOf(() => addon.writeSome(socket.fd, bytes, true, false)));
    fs.closeSync(socket.fd);
    return failure;
  }, kind);
  expect(failure).toMatchObject({ syscall: 'write', code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) });
});

test('what is no terminal has no width', async () => {
  const failure = await inFreshProcess(({ addon, fs, failureOf }) => {
    const fd = fs.openSync('/dev/null', 'r');
    return failureOf(() => addon.columnsOf(fd));
  });
  expect(failure).toMatchObject({ code: 'ENOTTY', syscall: 'ioctl' });
});
