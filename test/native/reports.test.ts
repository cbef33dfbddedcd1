/**
 * What children say to us, and who the kernel says has said it: native/reports.cc.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith } from './needs';

test('a message comes with the pid of the child that wrote it', async () => {
  const seen = await inFreshProcess(async (kit) => {
    const { addon, shell, openReaper, nullConnection, exitOf } = kit;
    openReaper();
    const { reader, writer } = addon.openReports(null);
    const plans = ['one', 'two'].map((word) => shell(`echo ${word} >&2`, { stderrFd: writer }));
    const pids = plans.map((plan) => addon.spawn(plan, { fd: nullConnection(), facts: '' }));
    for (const pid of pids) await exitOf(pid);
    const reports = [addon.readReport(reader), addon.readReport(reader)].map((report) => [report?.pid, report?.text]);
    return { pids, reports: Object.fromEntries(reports), rest: addon.readReport(reader) };
  });
  const [one = 0, two = 0] = seen.pids;
  expect(seen.reports).toEqual({ [one]: 'one\n', [two]: 'two\n' });
  expect(seen.rest).toBeNull();
});

test('both ends are close-on-exec and non-blocking; the one for children has a low number', async () => {
  const seen = await inFreshProcess(({ addon, flagsOf }) => {
    const { reader, writer } = addon.openReports(null);
    return { reader: flagsOf(reader), writer: flagsOf(writer), isLow: writer < 64, isAway: reader >= 1024 };
  });
  const flags = { isCloseOnExec: true, isNonBlocking: true };
  expect(seen).toEqual({ reader: flags, writer: flags, isLow: true, isAway: true });
});

test('a message that is longer than 1 KiB loses its end, and whatever its bytes are it is text', async () => {
  const texts = await inFreshProcess(({ addon, fs }) => {
    const { reader, writer } = addon.openReports(null);
    fs.writeSync(writer, 'x'.repeat(5000));
    fs.writeSync(writer, Buffer.from([0x61, 0xff, 0x00, 0x62]));
    return [addon.readReport(reader)?.text, addon.readReport(reader)?.text];
  });
  expect(texts).toEqual(['x'.repeat(1024), 'a\ufffd\0b']);
});

test('as much waits as one reading of all takes, and then the writer has to', async () => {
  const { count, code } = await inFreshProcess(({ addon, fs, failureOf }) => {
    const { writer } = addon.openReports(null);
    let count = 0;
    let failure = null;
    while (failure === null) {
      failure = failureOf(() => fs.writeSync(writer, 'x'));
      count += 1;
    }
    return { count, code: failure['code'] };
  });
  expect(code).toBe('EAGAIN');
  expect(count).toBeGreaterThan(100);
  expect(count).toBeLessThan(1024);
});

test('a message with descriptors is an end: it stays where it is, and none of them comes', async () => {
  const { reports, before, after } = await inFreshProcess(async (kit) => {
    const { addon, plan, python, borrower, openReaper, nullConnection, exitOf, openFds } = kit;
    const { reader, writer } = addon.openReports(null);
    const script = 'import socket; socket.send_fds(socket.socket(fileno=2), [b"take"], [0] * 50)';
    const sender = plan([python(), '-c', script], { stderrFd: writer });
    // A kernel that can keep descriptors away was told to: SO_PASSRIGHTS (Linux 6.16).
    const allow = borrower('try: s.setsockopt(socket.SOL_SOCKET, 83, 1)\nexcept OSError: pass');
    openReaper();
    await allow(reader);
    const connection = nullConnection();
    const before = openFds().filter((fd) => Number(fd) !== connection);
    await exitOf(addon.spawn(sender, { fd: connection, facts: '' }));
    return { reports: [addon.readReport(reader), addon.readReport(reader)], before, after: openFds() };
  });
  const end = { pid: 0, text: '', isEnd: true };
  expect(reports).toEqual([end, end]);
  expect(after).toEqual(before);
});

test('a pair that a holder of the writing end has shut down tells so, after all that was said before', async () => {
  const reports = await inFreshProcess(async (kit) => {
    const { addon, plan, python, openReaper, nullConnection, exitOf } = kit;
    const { reader, writer } = addon.openReports(null);
    const script =
      'import socket; s = socket.socket(fileno=2); s.send(b"last"); s.send(b""); s.shutdown(socket.SHUT_RDWR)';
    const child = plan([python(), '-c', script], { stderrFd: writer });
    openReaper();
    await exitOf(addon.spawn(child, { fd: nullConnection(), facts: '' }));
    return [1, 2, 3].map(() => addon.readReport(reader)).map((report) => [report?.text, report?.isEnd]);
  });
  expect(reports).toEqual([
    ['last', false],
    ['', false],
    ['', true],
  ]);
});

test('another pair can take the place of one, and plans that know the number have the new one', async () => {
  const seen = await inFreshProcess(async (kit) => {
    const { addon, shell, openReaper, nullConnection, exitOf, flagsOf, openFds } = kit;
    const old = addon.openReports(null);
    const plan = shell('echo hello >&2', { stderrFd: old.writer });
    const before = openFds().length;
    addon.close(old.reader);
    const { reader, writer } = addon.openReports(old.writer);
    const after = openFds().length;
    openReaper();
    await exitOf(addon.spawn(plan, { fd: nullConnection(), facts: '' }));
    return {
      isSame: writer === old.writer,
      isNone: after === before,
      flags: flagsOf(writer),
      text: addon.readReport(reader)?.text,
    };
  });
  const flags = { isCloseOnExec: true, isNonBlocking: true };
  expect(seen).toEqual({ isSame: true, isNone: true, flags, text: 'hello\n' });
});

testWith(ROOT)('a child of another user is told by its pid all the same', async () => {
  const seen = await inFreshProcess(async ({ addon, shell, openReaper, nullConnection, exitOf, nobody }) => {
    openReaper();
    const { reader, writer } = addon.openReports(null);
    const pid = addon.spawn(shell('echo hello >&2', { stderrFd: writer, identity: nobody() }), {
      fd: nullConnection(),
      facts: '',
    });
    await exitOf(pid);
    return [pid, addon.readReport(reader)];
  });
  expect(seen[1]).toEqual({ pid: seen[0], text: 'hello\n', isEnd: false });
});

test('a pipe is close-on-exec, its reader does not block and has a high number, its writer waits', async () => {
  const seen = await inFreshProcess(({ addon, flagsOf }) => {
    const { reader, writer } = addon.openPipe(null);
    return { reader: flagsOf(reader), writer: flagsOf(writer), isAway: reader >= 1024 };
  });
  expect(seen).toEqual({
    reader: { isCloseOnExec: true, isNonBlocking: true },
    writer: { isCloseOnExec: true, isNonBlocking: false },
    isAway: true,
  });
});

test('a pipe is read as far as there is room, is empty for a while, and ends when nobody holds it', async () => {
  const seen = await inFreshProcess(({ addon, fs }) => {
    const { reader, writer } = addon.openPipe(null);
    const into = Buffer.alloc(4);
    const before = addon.readPipe(reader, into);
    fs.writeSync(writer, 'a\nbcde');
    const [first, text] = [addon.readPipe(reader, into), into.toString()];
    const rest = addon.readPipe(reader, into);
    addon.close(writer);
    return { before, first, text, rest, end: addon.readPipe(reader, into) };
  });
  expect(seen).toEqual({ before: -1, first: 4, text: 'a\nbc', rest: 2, end: 0 });
});

test('line ends are counted in a part of the bytes, and not beyond them', async () => {
  const counts = await inFreshProcess(({ addon }) => {
    const bytes = Buffer.from('\n\na\n\n');
    const ranges = [
      [0, 5],
      [1, 4],
      [2, 2],
      [4, 1],
      [3, 999],
    ] as const;
    return ranges.map(([from, to]) => addon.countLines(bytes, from, to));
  });
  expect(counts).toEqual([4, 2, 0, 0, 2]);
});

testWith(ROOT)('a pipe belongs to whom it is given', async () => {
  const { given, own } = await inFreshProcess(({ addon, fs }) => {
    const given = fs.fstatSync(addon.openPipe({ uid: 4711, gid: 4712 }).writer);
    const own = fs.fstatSync(addon.openPipe(null).writer);
    return { given: [given.uid, given.gid], own: [own.uid, own.gid] };
  });
  expect([given, own]).toEqual([
    [4711, 4712],
    [0, 0],
  ]);
});
