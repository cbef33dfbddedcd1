/**
 * stdout for data, stderr for people. Written synchronously, so that nothing is lost when the process ends, and by number:
 * the streams `process.stdout` and `process.stderr` would make a pipe non-blocking for everybody who shares it.
 */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { isColored as mayHaveColors } from '../log/color';

const STDOUT = 1;
const STDERR = 2;

export function writeOutput(text: string): void {
  writeAll(STDOUT, text);
}

export function writeError(text: string): void {
  writeAll(STDERR, text);
}

export function isStderrTerminal(): boolean {
  return isatty(STDERR);
}

/** Whether diagnostics on stderr may have colours. */
export function isColored(): boolean {
  return isStderrTerminal() && mayHaveColors(true, process.env);
}

/** A reader that has left (`stdiod print | head`) is no error; one that is slow is waited for. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let done = 0;
  while (done < bytes.length) {
    const written = tryWrite(fd, bytes.subarray(done));
    if (written === null) return;
    done += written;
  }
}

function tryWrite(fd: number, bytes: Uint8Array): number | null {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : null;
  }
}
