import { problemsOf } from '../loading';

test.each(['a b', '-a', '.a', 'ä', '', 'a/b', '"a\\nb"'])('refuses %j as the name of a service', (name) => {
  const key = name.startsWith('"') ? name : JSON.stringify(name);
  expect(problemsOf(`services: {${key}: {listen: 7, exec: cat}}`).join()).toContain('is not a name for a service');
});

test('refuses two services whose names differ only in case, and shows both', () => {
  expect(problemsOf('services:\n  Web: {listen: 1, exec: cat}\n  web: {listen: 2, exec: cat}\n')).toEqual([
    '3:3 services: there already is a service "Web" (services.yaml:2:3) (rename one of them)',
  ]);
});
