/** The exit statuses, which scripts and supervisors rely on. */
export const EXIT = {
  done: 0,
  /** The system failed us: could not bind, a child could not be ended. */
  failed: 1,
  usage: 2,
  /** EX_CONFIG of sysexits(3). */
  badConfiguration: 78,
} as const;
