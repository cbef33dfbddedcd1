/**
 * How the way to a value is written in a message: `services.web.exec[1]`.
 */

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.map((step, index) => formatStep(step, index === 0)).join('');
}

function formatStep(step: string | number, isFirst: boolean): string {
  if (typeof step === 'number') return `[${step}]`;
  const shown = step.length > 60 ? `${step.slice(0, 60)}…` : step;
  const word = /^[\w.-]+$/.test(shown) ? shown : JSON.stringify(shown);
  return isFirst ? word : `.${word}`;
}
