/**
 * Whether a service may have its name: the characters, and that no other service of any file has it.
 */
import { reporterFor } from '../keys/layers';
import { SERVICE_NAME } from '../keys/schema';
import type { Problem, Problems } from '../report/problems';
import type { Tree } from '../yaml/tree';

/** Room enough for a name, and a log line stays readable. */
const LONGEST_NAME = 255;

/** The names of all files' services; two that differ only in case would be one to whoever reads the log. */
export class ServiceNames {
  private readonly places = new Map<string, { tree: Tree; name: string }>();

  constructor(private readonly problems: Problems) {}

  add(name: string, tree: Tree): void {
    const key = name.toLowerCase();
    const problem = this.refuse(name, this.places.get(key));
    if (problem !== null) reporterFor(tree, [], this.problems).reportKey(['services', name], problem);
    if (!this.places.has(key)) this.places.set(key, { tree, name });
  }

  private refuse(name: string, earlier: { tree: Tree; name: string } | undefined): Problem | null {
    if (!SERVICE_NAME.test(name) || name.length > LONGEST_NAME) {
      const remedy = 'use letters, digits, ".", "_" and "-", and begin with a letter or digit';
      return { message: `${JSON.stringify(name.slice(0, 60))} is not a name for a service`, remedy };
    }
    if (earlier === undefined) return null;
    const { source } = earlier.tree;
    const { line, column } = source.position(earlier.tree.place(['services', earlier.name])?.key ?? 0);
    const place = `${source.file}:${line}:${column}`;
    return { message: `there already is a service "${earlier.name}" (${place})`, remedy: 'rename one of them' };
  }
}
