/**
 * What children say to us, and who the kernel says has said it: native/reports.cc.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith } from './needs';

test('a message comes with the pid of the child that wrote it', async () => {
  const seen = await inFreshProcess(async (kit) => {
    const { addon, shell, openReaper, nullConnection, exitOf } = kit;
    openReaper();
    const { reader, writer } = addon.openReports();
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
    const { reader, writer } = addon.openReports();
    return { reader: flagsOf(reader), writer: flagsOf(writer), isLow: writer < 64, isAway: reader >= 1024 };
  });
  const flags = { isCloseOnExec: true, isNonBlocking: true };
  expect(seen).toEqual({ reader: flags, writer: flags, isLow: true, isAway: true });
});

test('a message that is longer than 1 KiB loses its end, and whatever its bytes are it is text', async () => {
  const texts = await inFreshProcess(({ addon, fs }) => {
    const { reader, writer } = addon.openReports();
    fs.writeSync(writer, 'x'.repeat(5000));
    fs.writeSync(writer, Buffer.from([0x61, 0xff, 0x00, 0x62]));
    return [addon.readReport(reader)?.text, addon.readReport(reader)?.text];
  });
  expect(texts).toEqual(['x'.repeat(1024), 'a\ufffd\0b']);
});

test('as much waits as one reading of all takes, and then the writer has to', async () => {
  const { count, code } = await inFreshProcess(({ addon, fs, failureOf }) => {
    const { writer } = addon.openReports();
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

test('descriptors that come with a message do not stay', async () => {
  const { text, before, after } = await inFreshProcess(async (kit) => {
    const { addon, plan, python, openReaper, nullConnection, exitOf, openFds } = kit;
    const { reader, writer } = addon.openReports();
    const script = 'import socket; socket.send_fds(socket.socket(fileno=2), [b"take"], [0] * 50)';
    const sender = plan([python(), '-c', script], { stderrFd: writer });
    openReaper();
    const connection = nullConnection();
    const before = openFds().filter((fd) => Number(fd) !== connection);
    await exitOf(addon.spawn(sender, { fd: connection, facts: '' }));
    return { text: addon.readReport(reader)?.text, before, after: openFds() };
  });
  expect(text).toBe('take');
  expect(after).toEqual(before);
});

testWith(ROOT)('a child of another user is told by its pid all the same', async () => {
  const seen = await inFreshProcess(async ({ addon, shell, openReaper, nullConnection, exitOf, nobody }) => {
    openReaper();
    const { reader, writer } = addon.openReports();
    const pid = addon.spawn(shell('echo hello >&2', { stderrFd: writer, identity: nobody() }), {
      fd: nullConnection(),
      facts: '',
    });
    await exitOf(pid);
    return [pid, addon.readReport(reader)];
  });
  expect(seen[1]).toEqual({ pid: seen[0], text: 'hello\n' });
});
