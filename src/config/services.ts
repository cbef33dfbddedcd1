/**
 * The services of all files: each with the defaults that lie under it, checked and resolved.
 */
import { Clashes } from './between/clash';
import { reportCircles } from './between/redirect-circle';
import { ServiceNames } from './between/service-names';
import { reportUnreachable } from './between/tcpmux';
import { type MeasuredLayer, Totals } from './between/totals';
import { check, withoutKeys } from './keys/check';
import { type Layer, Layers, reporterFor } from './keys/layers';
import { defaultsSchema, serviceSchema } from './keys/schema';
import type { Machine } from './machine/machine';
import type { Path } from './report/path';
import { Problems } from './report/problems';
import { type Resolved, resolveService } from './resolve/resolve';
import { warn } from './resolve/warnings';
import { type Data, type Tree, isData } from './yaml/tree';

export interface Read extends Resolved {
  /** What this machine lacks for it: it cannot be served for now. */
  readonly lacks: Problems;
}

/** Of all files, the main one first, in the order that they are written in. @param warnings takes what is odd and not wrong */
export function readServices(
  trees: readonly Tree[],
  serverLimit: number,
  machine: Machine,
  problems: Problems,
  warnings: Problems,
): Read[] {
  const names = new ServiceNames(problems);
  const clashes = new Clashes(machine.passedSockets(), problems);
  const totals = new Totals(problems);
  const [main, ...included] = trees;
  const general = main && readDefaults(main, problems);
  const all = trees.flatMap((tree) => {
    const own = included.includes(tree) ? readDefaults(tree, problems) : undefined;
    const below = [own, general].filter((layer) => layer !== undefined);
    return readServicesOf(tree, below, { serverLimit, machine, names, clashes, totals, problems, warnings });
  });
  reportUnreachable(all);
  reportCircles(all, machine);
  return all;
}

/** Each problem of the defaults is reported here, once; what is wrong is not laid under any service. */
function readDefaults(tree: Tree, problems: Problems): MeasuredLayer | undefined {
  const data = (tree.root as Data)['defaults'];
  const base = ['defaults'];
  if (data === undefined || !requireMap(data, base, tree, problems)) return undefined;
  const { badKeys } = check(defaultsSchema, data, 'defaults', reporterFor(tree, base, problems));
  const sound = withoutKeys(data, badKeys);
  return { tree, base, data: sound, length: JSON.stringify(sound).length, values: countValues(sound) };
}

function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((count, part) => count + countValues(part), 0);
}

function requireMap(value: unknown, path: Path, tree: Tree, problems: Problems): value is Data {
  if (isData(value)) return true;
  const key = path.at(-1) ?? '';
  const reporter = reporterFor(tree, [], problems);
  if (reporter.isReported(path)) return false;
  const remedy = path[0] === 'services' ? 'write "NAME:" for each service, and its keys indented below' : null;
  const got = Array.isArray(value) ? 'a list' : value === null ? 'nothing' : 'a single value';
  const message = `"${key}" must be a map of keys and values, got ${got}`;
  reporter.report(path, { message, remedy });
  return false;
}

interface Reading {
  /** `limits.max_connections`. */
  readonly serverLimit: number;
  readonly warnings: Problems;
  readonly machine: Machine;
  readonly names: ServiceNames;
  readonly clashes: Clashes;
  readonly totals: Totals;
  readonly problems: Problems;
}

function readServicesOf(tree: Tree, below: readonly MeasuredLayer[], reading: Reading): Read[] {
  const services = (tree.root as Data)['services'];
  if (services === undefined || !requireMap(services, ['services'], tree, reading.problems)) return [];
  const resolved: Read[] = [];
  for (const name of tree.keysOf(services)) {
    if (reading.problems.isFull) break;
    reading.names.add(name, tree);
    const data = services[name];
    const base = ['services', name];
    if (!requireMap(data, base, tree, reading.problems)) continue;
    if (!reading.totals.inherit(below)) break;
    const read = readService(name, [{ tree, base, data }, ...below], reading);
    resolved.push(read);
    if (!reading.totals.addSockets(read)) break;
  }
  return resolved;
}

function readService(name: string, stack: readonly [Layer, ...Layer[]], reading: Reading): Read {
  const lacks = new Problems();
  const layers = new Layers(name, stack, reading.problems, lacks, reading.warnings);
  const merged = layers.merged();
  const { badKeys, meantKeys } = check(serviceSchema, merged, 'service', layers);
  const settings = serviceSchema.parse(badKeys.size === 0 ? merged : withoutKeys(merged, badKeys));
  const resolved = { ...resolveService(settings, layers, meantKeys, reading.machine), lacks };
  if (!settings.enabled) return resolved;
  warn(resolved.service, settings, reading.serverLimit, reading.machine, layers);
  for (const entry of resolved.entries) reading.clashes.add(entry, resolved.service.socket, layers);
  return resolved;
}
