/**
 * What is odd in a configuration and not wrong: told, and served.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from './client';
import { startDaemon } from './daemon';
import { endAll } from './endings';
import { main, makeFolder } from './fixtures';

afterEach(endAll);

function odd(most: number): string {
  return (
    `limits: {max_connections: ${most}}\n` +
    'services:\n  echo: {listen: "127.0.0.1:0", exec: cat, max_connections: 500}\n'
  );
}

const MESSAGE = '500 children are never reached: all services together have 100';

function check(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const folder = makeFolder();
  writeFileSync(join(folder, 'it.yaml'), odd(100));
  return spawnSync(process.execPath, [main, 'check', '-c', 'it.yaml', ...words], { cwd: folder, encoding: 'utf8' });
}

test('check says so and exits with 0', () => {
  expect(check()).toMatchObject({ status: 0, stdout: '' });
  expect(check().stderr).toContain(`it.yaml:3:61: warning: services.echo.max_connections: ${MESSAGE}\n`);
  expect(check().stderr).toMatch(/\nit\.yaml: 1 warning\n$/);
});

test('check --json has its level', () => {
  const { status, stdout } = check('--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject([{ line: 3, column: 61, message: MESSAGE, level: 'warning' }]);
});

test('a start tells it and serves, strict or not, and so does a reload', async () => {
  const daemon = await startDaemon(odd(100), { args: ['--strict'] });
  expect(await daemon.waitFor('warning')).toMatchObject({ line: 3, column: 61, message: MESSAGE });
  expect(await exchange(daemon.port('echo'), 'hello')).toBe('hello');
  await daemon.reload(odd(50));
  await daemon.waitFor('warning', { message: MESSAGE.replace('100', '50') });
  await daemon.reload(odd(500));
  expect(daemon.all('warning')).toHaveLength(2);
});
