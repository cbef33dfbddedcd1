/**
 * What stdiod tells each child of its connection, by the names of the variables: nobody else may give a child one of these.
 */

/** A service cannot set these. Nobody but the child knows LISTEN_PID before it runs: it tells that itself (native/child.cc). */
export const FACT_NAMES: ReadonlySet<string> = new Set([
  'PROTO',
  'TCPREMOTEIP',
  'TCPREMOTEPORT',
  'TCPLOCALIP',
  'TCPLOCALPORT',
  'UNIXREMOTEPATH',
  'UNIXREMOTEPID',
  'UNIXREMOTEEUID',
  'UNIXREMOTEEGID',
  'UNIXLOCALPATH',
  'UDPLOCALIP',
  'UDPLOCALPORT',
  'REMOTE_ADDR',
  'REMOTE_PORT',
  'REMOTE_HOST',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'STDIOD_SERVICE',
  'STDIOD_CONNECTION',
  'LISTEN_PID',
]);
