/**
 * What is odd about a service and not wrong: it is served all the same, and the operator is told.
 */
import { RLIMITS } from '../../service/rlimits';
import type { Exec, Service } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { inside } from '../machine/inside';
import type { Machine } from '../machine/machine';
import { whoElseForRoot } from '../machine/trusted';
import type { Problem } from '../report/problems';

/** @param serverLimit most children of all services */
export function warn(
  service: Service,
  settings: ServiceSettings,
  serverLimit: number,
  outside: Machine,
  layers: Layers,
): void {
  const { run } = service;
  if (!service.wait) warnOfServerLimit(service, serverLimit, layers);
  if (run.kind !== 'exec') return;
  const machine = inside(run.process.root, outside);
  if (!service.wait) warnOfProcesses(service, run, machine, layers);
  const others = run.process.identity?.uid === 0 ? whoElse(run, machine, outside) : null;
  const key = ['exec', 'builtin', 'redirect'].find((each) => layers.isOwn([each])) ?? 'exec';
  if (others !== null) layers.asWarning.report([key], others);
  if (settings.no_new_privileges === undefined) warnOfSetId(run, machine, layers);
  if (run.warm?.mode === 'template') warnOfTemplate(layers);
  if (settings.exec !== undefined) warnOfSize(run, machine.startBytes, layers);
}

/** A folder that is `/` for the program is as good as the program. */
function whoElse({ command, process: { root } }: Exec, machine: Machine, outside: Machine): Problem | null {
  const ofFolder = root === null ? null : whoElseForRoot(root, outside);
  return ofFolder ?? whoElseForRoot(command.path, machine);
}

function warnOfServerLimit({ maxConnections }: Service, serverLimit: number, layers: Layers): void {
  if (!layers.isOwn(['max_connections']) || maxConnections <= serverLimit) return;
  const message = `${maxConnections} children are never reached: all services together have ${serverLimit}`;
  layers.asWarning.report(['max_connections'], {
    message,
    remedy: `set "limits: {max_connections: ${maxConnections}}"`,
  });
}

/** The kernel counts the processes of the user; root may always have more. */
function warnOfProcesses({ maxConnections }: Service, { process }: Exec, machine: Machine, layers: Layers): void {
  const own = machine.highestLimit(RLIMITS.processes.resource);
  if (layers.isOwn(['max_connections']) && own >= 0 && own < maxConnections) {
    const message = `stdiod's user may have ${own} processes, and "max_connections" is ${maxConnections}`;
    layers.asWarning.report(['max_connections'], { message, remedy: 'raise that limit (ulimit -u), or set less' });
  }
  const limit = process.resources.limits.find(({ resource }) => resource === RLIMITS.processes.resource);
  if (limit === undefined || limit.soft < 0 || limit.soft >= maxConnections || process.identity?.uid === 0) return;
  const message = `a user of ${limit.soft} processes has no more children than these, and "max_connections" is ${maxConnections}`;
  const remedy = `set "max_connections" to ${limit.soft} or less: clients beyond it wait, and are not dropped`;
  layers.asWarning.report(['rlimits', 'processes'], { message, remedy });
}

const SET_ID_BITS = 0o6000;

function warnOfSetId({ command, process }: Exec, machine: Machine, layers: Layers): void {
  const facts = machine.file(command.path);
  if (!process.rights.noNewPrivileges || typeof facts === 'string' || (facts.mode & SET_ID_BITS) === 0) return;
  const message = `${command.path} is set-user-ID or set-group-ID, and gets no rights by that here`;
  layers.asWarning.report(['exec'], { message, remedy: 'set "no_new_privileges: false" if it needs them' });
}

function warnOfTemplate(layers: Layers): void {
  const message =
    'all sessions are copies of one process: what it has computed by then, such as the seed of random numbers, is the same in each';
  layers.asWarning.report(['warm'], { message, remedy: 'set "pool" where that matters: its processes share nothing' });
}

/** Of what execve(2) takes; above that a placeholder may make the rest. */
const NEAR = 0.9;

function warnOfSize({ command, process }: Exec, most: number, layers: Layers): void {
  const words = [...command.argv, ...Object.entries(process.environment).map(([name, value]) => `${name}=${value}`)];
  const total = words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  if (total <= most * NEAR || total > most) return;
  const message = `the command with its environment has ${total} bytes of the ${most} that the kernel takes`;
  layers.asWarning.report(['exec'], { message, remedy: 'put what is long into a file that the program reads' });
}
