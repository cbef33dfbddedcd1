/**
 * What the checks ask of the machine, each question asked once: ten thousand services name few programs and fewer users.
 * Made by `load` for one load; answers are not kept for the next.
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { PassedSocket } from '../../service/listen-text';
import type { PortNames, Protocol } from '../../service/port-text';
import type { Identity } from '../../service/service';
import { type BinaryFormat, parseBinaryFormat } from './binary-formats';
import { errnoName } from '../text/errno-name';
import type { Account, Group, Host } from './machine';

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other';
  /** Permission bits. */
  readonly mode: number;
}

/** As much as the kernel looks at to find an interpreter (BINPRM_BUF_SIZE). */
const HEAD_BYTES = 256;

export class Machine {
  private readonly answers = new Map<string, unknown>();

  constructor(readonly host: Host) {}

  user(nameOrId: string | number): Account | undefined {
    return this.once(`user ${typeof nameOrId} ${nameOrId}`, () => this.host.findUser(nameOrId));
  }

  group(nameOrId: string | number): Group | undefined {
    return this.once(`group ${typeof nameOrId} ${nameOrId}`, () => this.host.findGroup(nameOrId));
  }

  groupsOf(account: Account): readonly number[] {
    return this.once(`groups ${account.uid} ${account.name}`, () => this.host.groupsOf(account));
  }

  portNames(protocol: Protocol): PortNames {
    return this.once(`ports ${protocol}`, () => this.host.portNames(protocol));
  }

  passedSockets(): readonly PassedSocket[] {
    return this.once('passed', () => this.host.passedSockets());
  }

  /** Names of the network interfaces; empty where the kernel does not show them. */
  interfaces(): readonly string[] {
    return this.once('interfaces', () => listFolder('/sys/class/net'));
  }

  mayBindPort(port: number): boolean {
    return this.once(`bind ${port}`, () => this.host.mayBindPort(port));
  }

  /** null, or the errno name. */
  whyNotExecutable(path: string, identity: Identity | null): string | null {
    return this.once(`execute ${identityKey(identity)} ${path}`, () => this.host.whyNotExecutable(path, identity));
  }

  /** null, or the errno name. */
  whyNotReadable(path: string, identity: Identity | null): string | null {
    return this.once(`read ${identityKey(identity)} ${path}`, () => this.host.whyNotReadable(path, identity));
  }

  /** The facts, or the errno name. */
  file(path: string): FileFacts | string {
    return this.once(`stat ${path}`, () => readFacts(path));
  }

  /** The first bytes of a file; undefined: stdiod may not read it. */
  head(path: string): Buffer | undefined {
    return this.once(`head ${path}`, () => readHead(path));
  }

  /** What the kernel runs beside ELF programs and scripts. */
  binaryFormats(): readonly BinaryFormat[] {
    return this.once('formats', readBinaryFormats);
  }

  /** On the way to the path, from the root: the first folder that the identity may not enter. */
  firstClosedFolder(path: string, identity: Identity | null): string | undefined {
    const folders = [...foldersOf(path), ...foldersOf(realPath(path)), ...(this.isFolder(path) ? [path] : [])];
    return folders.find((folder) => this.whyNotExecutable(folder, identity) !== null);
  }

  private isFolder(path: string): boolean {
    const facts = this.file(path);
    return typeof facts !== 'string' && facts.kind === 'folder';
  }

  /** A larger answer, made of several questions. */
  once<Answer>(question: string, ask: () => Answer): Answer {
    if (!this.answers.has(question)) this.answers.set(question, ask());
    return this.answers.get(question) as Answer;
  }
}

export function identityKey(identity: Identity | null): string {
  return identity === null ? '-' : `${identity.uid}:${identity.gid}:${identity.groups.join(',')}`;
}

function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) folders.unshift(folder);
  return ['/', ...folders];
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function readFacts(path: string): FileFacts | string {
  try {
    const stats = statSync(path);
    const kind = stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : 'other';
    return { kind, mode: stats.mode & 0o7777 };
  } catch (error) {
    return errnoName(error);
  }
}

const FORMATS = '/proc/sys/fs/binfmt_misc';

function readBinaryFormats(): BinaryFormat[] {
  try {
    const names = readdirSync(FORMATS).filter((name) => name !== 'register');
    const formats = names.map((name) => parseBinaryFormat(readFileSync(`${FORMATS}/${name}`, 'latin1')));
    return formats.filter((format) => format !== undefined);
  } catch {
    return [];
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readHead(path: string): Buffer | undefined {
  try {
    const fd = openSync(path, 'r');
    const head = Buffer.alloc(HEAD_BYTES);
    const count = readSync(fd, head, 0, HEAD_BYTES, 0);
    closeSync(fd);
    return head.subarray(0, count);
  } catch {
    return undefined;
  }
}
