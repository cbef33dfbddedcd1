/**
 * Sockets that systemd binds and passes on: `fd:NAME`, with the units that docs/operations.md shows.
 */
import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { connectTo } from '../../system/client';
import { datagramClient } from '../../system/datagram-client';
import { InstalledUnit, unitOfManual } from './installed';
import { promise } from './promises';
import { command } from './unit';

const [WEB, TFTP, VM] = [7300, 7301, 7302];
const SOCKETS = ['stdiod.socket', 'stdiod-tftp.socket', 'stdiod-vm.socket'];

const SERVICES = `services:
  web: {listen: "fd:web", exec: cat}
  tftp: {listen: "fd:tftp", builtin: echo}
  vm: {listen: "fd:vm", redirect: "127.0.0.1:${WEB}"}
`;

function sockets(): Readonly<Record<string, string>> {
  return {
    'stdiod.socket': unitOfManual('FileDescriptorName=web', { ListenStream: `127.0.0.1:${WEB}` }),
    'stdiod-tftp.socket': unitOfManual('FileDescriptorName=tftp', { ListenDatagram: `127.0.0.1:${TFTP}` }),
    'stdiod-vm.socket': unitOfManual('FileDescriptorName=web', {
      ListenStream: `vsock::${VM}`,
      FileDescriptorName: 'vm\nService=stdiod.service',
    }),
    'stdiod.service.d/sockets.conf': unitOfManual('Sockets=', {
      Requires: SOCKETS.join(' '),
      Sockets: SOCKETS.join(' '),
    }),
  };
}

promise(
  'sockets of systemd start stdiod with the first client, each by its name, and who comes in a restart is served',
  async () => {
    const unit = InstalledUnit.install(SERVICES, { beside: sockets() });
    unit.systemctl('start', ...SOCKETS);
    equal(unit.show('ActiveState'), 'inactive');
    const first = await connectTo(WEB);
    await unit.until('serving');
    equal(await first.ask('first'), 'first');
    first.end();
    deepEqual(
      unit.all('listening').map(({ service, address }) => `${service} ${address}`),
      [`web 127.0.0.1:${WEB}`, `tftp 127.0.0.1:${TFTP}/udp`, `vm vsock:${VM}`],
    );
    const client = await datagramClient();
    equal(await client.ask('datagram', TFTP), 'datagram');
    equal(command('sh', '-c', `echo through | socat -t 60 - VSOCK-CONNECT:1:${VM}`), 'through');
    const before = unit.pid;
    unit.systemctl('restart', '--no-block', 'stdiod.service');
    await unit.until('stopping');
    const second = await connectTo(WEB);
    await unit.until('serving', 2);
    equal(await second.ask('meanwhile'), 'meanwhile');
    notEqual(unit.pid, before);
    deepEqual(unit.all('unused'), []);
  },
);
