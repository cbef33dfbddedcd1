/**
 * A path as it can be pasted into a shell. For the command lines in remedies.
 */
export function shellQuoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
