/**
 * Every shipped configuration: it is right where its programs are installed, and says what is missing where they are not.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAll } from '../system/endings';
import { main, project } from '../system/fixtures';
import { runProgram, type Ended } from './client-program';
import { putMcpServer, Shipped } from './configure';
import { NODE_FOR_EVERYBODY, testNeeding } from './needs';

afterEach(endAll);

interface Example {
  readonly needs: readonly string[];
  /** Puts something in the place of what no package of the system brings. */
  readonly install?: (shipped: Shipped) => void;
  /** How a machine without its program is made; of one that is looked up in stdiod's own PATH, with an empty PATH. */
  readonly hide?: (shipped: Shipped) => void;
  /** What is said then. */
  readonly complaint: RegExp;
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  'builtins.yaml': {
    needs: [],
    hide: (shipped) => {
      rmSync(shipped.path('services/quotes.txt'));
    },
    complaint: /services\.qotd\.quotes: .*quotes\.txt/,
  },
  'chat.yaml': {
    needs: ['python3'],
    complaint: /services\.chat\.exec: .*env does not find "python3"/,
  },
  'git.yaml': {
    needs: ['git'],
    hide: (shipped) => {
      shipped.edit('config/git.yaml', '- git\n', '- git-is-not-installed\n');
    },
    complaint: /services\.git\.exec\[0\]: there is no program "git-is-not-installed"/,
  },
  'mcp.yaml': {
    needs: [NODE_FOR_EVERYBODY],
    install: putMcpServer,
    hide: (shipped) => {
      shipped.edit('config/mcp.yaml', 'exec: /srv/mcp', 'exec: /srv/mcp-is-not-installed');
    },
    complaint: /services\.everything\.exec: .*mcp-server-everything does not exist/,
  },
  'one-liner.yaml': {
    needs: [],
    hide: (shipped) => {
      shipped.edit('config/one-liner.yaml', '- sh ', '- no-sh-here ');
    },
    complaint: /services\.greet\.exec\[0\]: there is no program "no-sh-here"/,
  },
  'rsync.yaml': {
    needs: ['rsync'],
    hide: (shipped) => {
      shipped.edit('config/rsync.yaml', 'exec: rsync', 'exec: rsync-is-not-installed');
    },
    complaint: /services\.rsync\.exec: there is no program "rsync-is-not-installed"/,
  },
  'services.yaml': {
    needs: ['python3', NODE_FOR_EVERYBODY],
    complaint: /services\.guess\.exec: there is no program "node"[^]*env does not find "python3"/,
  },
  'sshd.yaml': {
    needs: ['root', 'sshd'],
    hide: (shipped) => {
      shipped.edit('config/sshd.yaml', '/usr/sbin/sshd', '/usr/sbin/sshd-is-not-installed');
    },
    complaint: /services\.sshd\.exec: \/usr\/sbin\/sshd-is-not-installed does not exist/,
  },
};

function check(shipped: Shipped, name: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return runProgram([process.execPath, main, 'check', '-c', shipped.path(`config/${name}`)], { env });
}

test('every shipped configuration has its tests', () => {
  const shipped = readdirSync(join(project, 'config')).filter((name) => name.endsWith('.yaml'));
  expect(shipped.sort()).toEqual(Object.keys(EXAMPLES));
});

describe.each(Object.entries(EXAMPLES))('config/%s', (name, { needs, install, hide, complaint }) => {
  testNeeding(...needs)('is right, and check says so with its silence', async () => {
    const shipped = new Shipped();
    install?.(shipped);
    const { status, stdout, stderr } = await check(shipped, name);
    expect([stdout.toString(), stderr, status]).toEqual(['', '', 0]);
  });

  test('says plainly which program is missing and where that is named', async () => {
    const shipped = new Shipped();
    hide?.(shipped);
    const { status, stdout, stderr } = await check(shipped, name, { PATH: shipped.folder });
    expect(stderr).toMatch(complaint);
    expect(stderr).toMatch(new RegExp(`^\\S*${name}:\\d+:\\d+: `, 'm'));
    expect([status, stdout.toString()]).toEqual([78, '']);
  });
});
