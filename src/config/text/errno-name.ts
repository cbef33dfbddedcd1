/**
 * The name that the system gives to a failed call: `ENOENT`. By its shape, as an error of another realm is no `Error` of ours.
 */
export function errnoName(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : String(error);
}
