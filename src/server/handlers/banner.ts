/**
 * What a client is sent that is admitted, once, before its program is started. It goes out at once: a connection that is new has room
 * for it.
 */
import { connectionValues } from '../../child/facts';
import { addon } from '../../native/addon';
import { fillTemplate } from '../../service/template';
import type { Connection, Handler } from '../hosted/hosted';

/** What comes before `program`. @param text a template */
export function withBanner(text: string, program: Handler): Handler {
  /** One that is kept for want of a process is asked about again. */
  const greeted = new WeakSet<Connection>();
  return {
    get isBusy() {
      return program.isBusy;
    },
    get isHeldUp() {
      return program.isHeldUp === true;
    },
    take: (connection) => {
      if (!greeted.has(connection)) addon.sendNow(connection.fd, bannerFor(text, connection));
      greeted.add(connection);
      return program.take(connection);
    },
  };
}

function bannerFor(text: string, { peer, local, hosted, id }: Connection): string {
  return fillTemplate(text, connectionValues(peer, local, { service: hosted.service.name, connection: id }));
}
