/**
 * The effective configuration: what `print` shows. Defaults are filled in, paths and accounts resolved; to load it again
 * gives the same configuration. Made by `resolve` beside the service itself.
 */
import { formatListen } from '../service/listen-text';
import type { Service } from '../service/service';
import type { WrittenEntry } from './listen';
import type { FrameSettings, ServiceSettings } from './schema';

export interface EffectiveService {
  readonly description?: string;
  readonly enabled: boolean;
  readonly listen: readonly string[];
  readonly exec: readonly string[];
  readonly argv0: string;
  readonly user?: string | number;
  readonly group?: string | number;
  readonly groups?: readonly (string | number)[];
  readonly directory: string;
  readonly umask: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pass_env: readonly string[];
  readonly stderr: 'socket' | 'null';
  readonly max_connections: number;
  readonly when_full: Service['whenFull'];
  readonly socket: Service['socket'];
  readonly stop_grace: string;
}

export interface EffectiveConfiguration {
  readonly limits: FrameSettings['limits'];
  readonly log: FrameSettings['log'];
  readonly services: Readonly<Record<string, EffectiveService>>;
}

export function describeService(
  service: Service,
  settings: ServiceSettings,
  entries: readonly WrittenEntry[],
): EffectiveService {
  const [argv0 = service.command.path, ...words] = service.command.argv;
  return {
    ...(service.description === null ? {} : { description: service.description }),
    enabled: service.enabled,
    listen: entries.map(({ entry }) => formatListen(entry)),
    exec: [service.command.path, ...words],
    argv0,
    ...describeIdentity(service, settings),
    directory: service.directory,
    umask: `0${service.umask.toString(8).padStart(3, '0')}`,
    env: { ...settings.env },
    pass_env: [...settings.pass_env],
    stderr: service.stderr,
    max_connections: service.maxConnections,
    when_full: service.whenFull,
    socket: { ...service.socket },
    stop_grace: settings.stop_grace,
  };
}

/** Ids and not names for the groups: several names may share an id. */
function describeIdentity({ identity }: Service, settings: ServiceSettings): Partial<EffectiveService> {
  if (identity !== null) return { user: identity.user, group: identity.gid, groups: [...identity.groups] };
  const { user, group, groups } = settings;
  return {
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
    ...(groups === undefined ? {} : { groups }),
  };
}
