/** Two events, with every field that they have. */
import type { LogEvent, Reaped } from '../../../src/log/events';

export const ACCEPTED: Extract<LogEvent, { event: 'accepted' }> = {
  event: 'accepted',
  service: 'echo',
  connection: 'c1a7',
  peer: '10.0.0.5:51034',
  local: undefined,
  pid: 4711,
  children: 3,
  limit: 1000,
};

export const REAPED: Reaped = {
  event: 'reaped',
  service: 'echo',
  connection: 'c1a7',
  pid: 4711,
  exit: 0,
  signal: undefined,
  core: undefined,
  reason: undefined,
  duration: 0.182,
  cpu: 0.004,
  rss: 1_992_294,
  memory: undefined,
  in: undefined,
  out: undefined,
  rtt: undefined,
  retransmits: undefined,
  usage: {
    user: 0.003125,
    system: 0.001,
    minor_faults: 120,
    major_faults: 0,
    voluntary_switches: 2,
    involuntary_switches: 1,
    disk_read: 0,
    disk_written: 4096,
  },
  hint: undefined,
  children: 2,
  limit: 1000,
};
