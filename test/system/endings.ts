/**
 * What a test started, ended after it even when it failed: each test file says `afterEach(endAll)`.
 */
type Ending = () => void | Promise<void>;

const endings: Ending[] = [];

export function atEnd(ending: Ending): void {
  endings.push(ending);
}

/** The youngest first: clients leave before their daemon does. One that fails keeps none of the others from it. */
export async function endAll(): Promise<void> {
  const failures: unknown[] = [];
  for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) {
    await Promise.resolve()
      .then(ending)
      .catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}
