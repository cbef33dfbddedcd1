#!/usr/bin/env node
/**
 * stdiod: words in, exit status out. What the verbs need takes a while to load, and a HUP that comes meanwhile must not end the
 * process: signals are caught first.
 */
import { setFlagsFromString } from 'node:v8';
import { parseArguments, type Request } from './cli/arguments';
import { EXIT } from './cli/exit';
import { takeName } from './cli/process-name';
import { tellWrongUsage } from './cli/wrong-usage';
import { Signals } from './server/signals';

async function main(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words);
  if (parsed.ok) return perform(parsed.request);
  tellWrongUsage(parsed, words);
  return EXIT.usage;
}

async function perform(request: Request): Promise<number> {
  const signals = new Signals();
  if (request.verb === 'run' || request.verb === 'try') signals.catch();
  const verbs = await import('./cli/verbs.js');
  switch (request.verb) {
    case 'run':
      return verbs.runVerb(request, signals);
    case 'check':
      return verbs.checkVerb(request);
    case 'print':
      return verbs.printVerb(request);
    case 'explain':
      return verbs.explainVerb(request);
    case 'try':
      return verbs.tryVerb(request, signals);
    case 'schema':
      return verbs.schemaVerb();
    case 'version':
      return verbs.versionVerb(request);
    case 'help':
      return verbs.helpVerb(request);
  }
}

// What a connection leaves behind dies young. V8 would answer a steady stream of it by letting its nursery grow, 20 MB in the
// first 50,000 connections; kept small, memory stays flat and a collection stays short.
setFlagsFromString('--semi-space-growth-factor=1');

const words = process.argv.slice(2);
takeName(words);
void main(words).then((exitCode) => {
  process.exit(exitCode);
});
