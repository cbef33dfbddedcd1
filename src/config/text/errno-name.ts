/**
 * The name that the system gives to a failed call: `ENOENT`. Asked by those here who read files.
 */
export function errnoName(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : String(error);
}
