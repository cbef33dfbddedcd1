/**
 * What a test started, ended after it even when it failed: each test file says `afterEach(endAll)`.
 */
type Ending = () => void | Promise<void>;

const endings: Ending[] = [];

export function atEnd(ending: Ending): void {
  endings.push(ending);
}

/** The youngest first: clients leave before their daemon does. */
export async function endAll(): Promise<void> {
  for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) await ending();
}
