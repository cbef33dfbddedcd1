import { foreignFile } from '../../../../src/config/text/foreign-file';

test.each([
  ['an inetd.conf', '# comment stream tcp nowait x y\n\ntime stream tcp nowait root internal\n', 33],
  ['an inetd.conf', 'tftp\tdgram\tudp\twait.100\troot\t/usr/sbin/in.tftpd in.tftpd /srv\n', 0],
  ['a configuration of xinetd', 'service time {\n}\n', 0],
  ['a configuration of xinetd', '# x\ndefaults\n{\n}\n', 4],
  ['a configuration of xinetd', '# x\nincludedir /etc/xinetd.d\n', 4],
  ['a unit of systemd', '# x\n[Service]\nExecStart=/bin/cat\n', 4],
])('recognises %s in %j', (what, text, offset) => {
  const found = foreignFile(text);
  expect(found?.offset).toBe(offset);
  expect(found?.problem.message).toBe(`this is ${what}, which stdiod does not read`);
});

test.each([
  'services:\n  a: {listen: 1, exec: cat}\n# time stream tcp nowait root internal\n',
  'services:\n  a:\n    exec: [sh, -c, "\nservice x {\n}\n"]\n',
  '{"services": {\n"a": {}}}\n[Socket]\n',
  'include: x.yaml\n[Socket]\n',
  'a: 1\n',
  '',
])('leaves %j to YAML', (text) => {
  expect(foreignFile(text)).toBeUndefined();
});
