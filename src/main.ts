#!/usr/bin/env node
/**
 * stdiod: words in, exit status out.
 */
import { setFlagsFromString } from 'node:v8';
import { parseArguments, type Request } from './cli/arguments';
import { EXIT } from './cli/exit';
import { writeError } from './cli/terminal';
import { checkVerb, helpVerb, printVerb, runVerb, schemaVerb, tryVerb, versionVerb } from './cli/verbs';

async function main(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words);
  if (parsed.ok) return perform(parsed.request);
  writeError(`stdiod: ${parsed.message}\nremedy: ${parsed.remedy}\n`);
  return EXIT.usage;
}

async function perform(request: Request): Promise<number> {
  switch (request.verb) {
    case 'run':
      return runVerb(request);
    case 'check':
      return checkVerb(request);
    case 'print':
      return printVerb(request);
    case 'try':
      return tryVerb(request);
    case 'schema':
      return schemaVerb();
    case 'version':
      return versionVerb(request);
    case 'help':
      return helpVerb(request);
  }
}

// What a connection leaves behind dies young. V8 would answer a steady stream of it by letting its nursery grow, 20 MB in the
// first 50,000 connections; kept small, memory stays flat and a collection stays short.
setFlagsFromString('--semi-space-growth-factor=1');

void main(process.argv.slice(2)).then((exitCode) => {
  process.exit(exitCode);
});
