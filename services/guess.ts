// guess: a game. It thinks of a number and the client has to find it.
//
// A conversation needs no more than reading a line and writing a line. Each client has a process of its own, so the
// number is a plain variable and nobody can see another player's game.
//
// Try it:  node dist/services/guess.js

import { randomInt } from 'node:crypto';

const LOWEST = 1;
const HIGHEST = 100;
const LONGEST_LINE = 80; // characters that we keep: a client that never ends its line costs no memory

async function play(secret: number): Promise<string> {
  say(`I am thinking of a number from ${LOWEST} to ${HIGHEST}.\nYour guess? `);
  let guesses = 0;
  for await (const line of linesOf(process.stdin.setEncoding('utf8'))) {
    const guess = parseGuess(line);
    if (guess !== undefined) guesses += 1;
    if (guess === secret) return `Yes, ${secret}! You needed ${guesses} ${guesses === 1 ? 'guess' : 'guesses'}.\n`;
    say(`${answer(guess, secret)}\nYour guess? `);
  }
  return `\nIt was ${secret}. Goodbye.\n`;
}

function say(text: string): void {
  process.stdout.write(text);
}

/** A whole number within the bounds, or undefined. */
function parseGuess(line: string): number | undefined {
  const word = line.trim();
  const guess = Number(word);
  return /^\d+$/.test(word) && guess >= LOWEST && guess <= HIGHEST ? guess : undefined;
}

function answer(guess: number | undefined, secret: number): string {
  if (guess === undefined) return `Please send a whole number from ${LOWEST} to ${HIGHEST}.`;
  return guess < secret ? 'Too low.' : 'Too high.';
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let unfinished = '';
  for await (const chunk of chunks) {
    const lines = (unfinished + chunk).split('\n');
    unfinished = (lines.pop() ?? '').slice(0, LONGEST_LINE);
    yield* lines;
  }
  if (unfinished !== '') yield unfinished;
}

// A player may leave at any time: then there is nobody to write to, and nothing to complain about.
process.stdout.on('error', () => process.exit());
process.stdin.on('error', () => process.exit());

void play(randomInt(LOWEST, HIGHEST + 1)).then((lastWords) => {
  process.stdin.destroy();
  process.stdout.end(lastWords);
});
