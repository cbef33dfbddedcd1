/**
 * What a test needs of the machine stands in its title, and the test is skipped where that is missing: programs by their
 * names, `root`, `IPv6`, and two that are told below.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { asOther, hasIpv6, isRoot } from '../system/machine';

type DefineTest = (title: string, body: () => Promise<void>) => void;

export function testNeeding(...needs: readonly string[]): DefineTest {
  const define = needs.every(isMet) ? test : test.skip;
  return (title, body) => {
    define(needs.length === 0 ? title : `${title} (needs ${inWords(needs)})`, body);
  };
}

function isMet(need: string): boolean {
  if (need === 'root') return isRoot;
  if (need === 'IPv6') return hasIpv6;
  if (need === NODE_FOR_EVERYBODY) return canOthersRunNode();
  if (need === GIT_DAEMON) return hasGitDaemon();
  return locate(need) !== undefined;
}

/** The folders of programs that need not be in an ordinary user's PATH come last. */
function locate(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** As root, a service is run by an ordinary user, who may not reach a Node below root's home. */
export const NODE_FOR_EVERYBODY = 'a Node for everybody';

/** A package of its own on some systems, in git's folder and not in PATH. */
export const GIT_DAEMON = 'git daemon';

function hasGitDaemon(): boolean {
  const { status, stdout } = spawnSync('git', ['--exec-path'], { encoding: 'utf8' });
  return status === 0 && existsSync(join(stdout.trim(), 'git-daemon'));
}

function canOthersRunNode(): boolean {
  return spawnSync('env', [...asOther, 'node', '--version'], { cwd: '/' }).status === 0;
}

function inWords(needs: readonly string[]): string {
  return needs.length < 2 ? needs.join() : `${needs.slice(0, -1).join(', ')} and ${needs.at(-1) ?? ''}`;
}
