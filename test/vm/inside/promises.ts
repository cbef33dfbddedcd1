/**
 * What is promised of the guest: titles that the host knows, bodies that run inside, one after the other, as root under systemd.
 */
export interface Promised {
  readonly title: string;
  readonly body: () => Promise<void>;
}

const all: Promised[] = [];

export function promise(title: string, body: () => Promise<void>): void {
  all.push({ title, body });
}

export function promises(): readonly Promised[] {
  return all;
}

/** What the guest says of one of them: a line of JSON. */
export interface Outcome {
  readonly title: string;
  /** Why it was not kept; null: it was. */
  readonly error: string | null;
  readonly seconds: number;
}
