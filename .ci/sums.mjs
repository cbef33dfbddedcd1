// Adds up Jest's results: `node .ci/sums.mjs FILE…`. Names what failed and what was skipped; the last line has the sums.
// Ends with 1 when anything failed, was skipped, or did not run at all.
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const SKIPPED = new Set(['pending', 'todo', 'skipped', 'disabled']);
const sums = { passed: 0, failed: 0, skipped: 0 };

for (const file of process.argv.slice(2)) {
  if (existsSync(file)) addRun(basename(file, '.json'), JSON.parse(readFileSync(file, 'utf8')));
  else count('failed', `${file}: there are no results`);
}
console.log(`${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`);
process.exitCode = Number(sums.passed === 0 || sums.failed > 0 || sums.skipped > 0);

function addRun(run, { testResults }) {
  for (const { name, status, assertionResults } of testResults) {
    if (status === 'failed' && assertionResults.length === 0) count('failed', `${run}: ${name} did not run`);
    for (const test of assertionResults) {
      const outcome = SKIPPED.has(test.status) ? 'skipped' : test.status;
      count(
        outcome === 'passed' || outcome === 'skipped' ? outcome : 'failed',
        `${run}: ${basename(name)}: ${test.fullName}`,
      );
    }
  }
}

function count(outcome, what) {
  sums[outcome] += 1;
  if (outcome !== 'passed') console.log(`${outcome}: ${what}`);
}
