/**
 * What is made once for the children of a service: native/sandbox.cc. A path that never answers holds up those who name it, and
 * nobody else.
 */
import { inFreshProcess } from './fresh-process';
import { FUSE, LANDLOCK, ROOT, testWith } from './needs';

/** A file system whose server never says a word, until stdin ends. */
const DEAD_FOLDER = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
wishes = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
assert libc.mount(b'dead', sys.argv[1].encode(), b'fuse', 0, wishes) == 0, os.strerror(ctypes.get_errno())
print('dead', flush=True)
sys.stdin.read()
libc.umount2(sys.argv[1].encode(), 2)
`;

testWith(
  ROOT,
  LANDLOCK,
  FUSE,
)('who names a path that never answers waits for it once, and others not at all', async () => {
  const { first, again, beside, after } = await inFreshProcess(async (kit, script) => {
    const { addon, until } = kit;
    const dead = kit.temporaryFolder();
    const server = kit.spawn(kit.python(), ['-c', script, dead], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => server.stdout.once('data', resolve));
    const openWith = (...readOnly: string[]): string => {
      try {
        addon.openSandbox({
          namespaces: 0,
          hasOwnTmp: false,
          hasNoDevices: false,
          hasOwnProcesses: false,
          hidden: [],
          files: { readOnly, readWrite: [] },
        });
        return 'made';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const file = `${dead}/file`;
    const first = openWith('/usr', file);
    // Each of them would be another thread that does not come back, and there is an end of those.
    const again = new Set(Array.from({ length: 100 }, () => openWith('/usr', file)));
    const beside = openWith('/usr');
    server.stdin.end();
    const after = await until(() => openWith(file) !== 'ETIMEDOUT');
    return { first, again: [...again], beside, after };
  }, DEAD_FOLDER);
  expect({ first, again, beside, after }).toEqual({
    first: 'ETIMEDOUT',
    again: ['ETIMEDOUT'],
    beside: 'made',
    after: true,
  });
});
