/**
 * A file that is wrong in very many places.
 */
import { pretendMachine } from '../pretend-machine';
import { loadConfigurationText } from '../../../../src/config/load';

test('is looked at until there are a thousand problems, and no further', () => {
  const lines = Array.from({ length: 60_000 }, (_, index) => `  s${index}: {listen: 1, frob: 1}\n`);
  const asked: string[] = [];
  const machine = pretendMachine({
    mayBindPort: () => {
      asked.push('port');
      return true;
    },
  });
  const result = loadConfigurationText(`services:\n${lines.join('')}`, '/etc/services.yaml', machine);
  expect(result.ok ? [] : result.diagnostics).toHaveLength(1001);
  expect(asked.length).toBeLessThan(1000);
});
