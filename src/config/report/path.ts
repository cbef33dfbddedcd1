/**
 * The way to a value: how it is written in a message (`services.web.exec[1]`), and what stands at its end.
 */

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.map((step, index) => formatStep(step, index === 0)).join('');
}

/** undefined: nothing stands there. */
export function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

function formatStep(step: string | number, isFirst: boolean): string {
  if (typeof step === 'number') return `[${step}]`;
  const shown = step.length > 60 ? `${step.slice(0, 60)}…` : step;
  const word = /^[\w.-]+$/.test(shown) ? shown : JSON.stringify(shown);
  return isFirst ? word : `.${word}`;
}
