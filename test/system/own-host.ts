/**
 * A loopback address for this process alone: a port of a fixed number, or of another's choice, is nobody else's there.
 */
export function ownHost(): string {
  const { pid } = process;
  return `127.${64 + ((pid >> 16) & 63)}.${(pid >> 8) & 255}.${pid & 255}`;
}
