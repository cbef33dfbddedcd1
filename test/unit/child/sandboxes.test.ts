/**
 * Which sandboxes are made, used again and closed.
 */
import { SandboxError, Sandboxes } from '../../../src/child/sandboxes';
import { addon, type NativeSandbox } from '../../../src/native/addon';
import { NO_SANDBOX } from '../../../src/service/sandbox';
import type { Service } from '../../../src/service/service';
import { systemError } from '../server/pretended';
import { sampleExec, sampleService } from '../service/sample';

jest.mock('../../../src/native/addon', () => ({ addon: { openSandbox: jest.fn(), closeSandbox: jest.fn() } }));

const kernel = jest.mocked(addon);
let sandboxes: Sandboxes;

beforeEach(() => {
  jest.clearAllMocks();
  kernel.openSandbox.mockImplementation((options) => ({ ...options }) as unknown as NativeSandbox);
  sandboxes = new Sandboxes();
});

function alone(name: string, umask = 0o22): Service {
  return sampleService({ name, run: sampleExec({ umask, sandbox: { ...NO_SANDBOX, privateNetwork: true } }) });
}

test('a service that asks for none has none', () => {
  expect(sandboxes.of(sampleService())).toBeNull();
  expect(sandboxes.of(sampleService({ run: { kind: 'tcpmux' } }))).toBeNull();
  expect(kernel.openSandbox).not.toHaveBeenCalled();
});

test('each service has one of its own, through all its versions that ask for the same', () => {
  const [one, other] = [sandboxes.of(alone('one')), sandboxes.of(alone('other'))];
  expect(one).not.toBe(other);
  expect(sandboxes.of(alone('one', 0o77))).toBe(one);
  const options = {
    namespaces: 0x4000_0000,
    hasOwnTmp: false,
    hasNoDevices: false,
    hasOwnProcesses: false,
    hidden: [],
    files: null,
  };
  expect(kernel.openSandbox.mock.calls).toEqual([[options], [options]]);
});

test('those that nobody asks for any more are closed, once', () => {
  const [one, other] = [sandboxes.of(alone('one')), sandboxes.of(alone('other'))];
  sandboxes.keep([alone('other', 0o77), sampleService({ name: 'one' })]);
  sandboxes.keep([alone('other')]);
  expect(kernel.closeSandbox.mock.calls).toEqual([[one]]);
  expect(sandboxes.of(alone('other'))).toBe(other);
  expect(sandboxes.of(alone('one'))).not.toBe(one);
});

test('what the kernel refuses is told with the call, and asked for again', () => {
  kernel.openSandbox.mockImplementationOnce(() => {
    throw systemError('EPERM', 'unshare');
  });
  expect(() => sandboxes.of(alone('one'))).toThrow(new SandboxError('sandbox: unshare: EPERM operation not permitted'));
  expect(sandboxes.of(alone('one'))).not.toBeNull();
});

test('a folder for temporary files may be written to, whatever else may not', () => {
  const files = { readOnly: ['/'], readWrite: ['/srv'] };
  const sandbox = { ...NO_SANDBOX, privateTmp: true, hidden: ['/root'], files };
  sandboxes.of(sampleService({ run: sampleExec({ sandbox }) }));
  sandboxes.of(sampleService({ run: sampleExec({ sandbox: { ...NO_SANDBOX, files } }) }));
  expect(kernel.openSandbox.mock.calls).toEqual([
    [
      {
        namespaces: 0x2_0000,
        hasOwnTmp: true,
        hasNoDevices: false,
        hasOwnProcesses: false,
        hidden: ['/root'],
        files: { ...files, readWrite: ['/srv', '/tmp'] },
      },
    ],
    [{ namespaces: 0, hasOwnTmp: false, hasNoDevices: false, hasOwnProcesses: false, hidden: [], files }],
  ]);
});
