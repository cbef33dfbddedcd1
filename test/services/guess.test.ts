// guess: a whole game, and players who do not play by the rules.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { open, runOnPipes, serve, typescript } from './harness';

const guess = typescript('guess.js');

it('prompts before it waits, tells where to look, and ends when the number is found', async () => {
  const host = await serve(guess);
  const client = await open(host.port, '');
  const game = { low: 1, high: 100, guesses: 0, transcript: '' };
  let answer = '';
  for await (const chunk of client.setEncoding('utf8') as AsyncIterable<string>) {
    [game.transcript, answer] = [game.transcript + chunk, answer + chunk];
    if (!answer.endsWith('Your guess? ')) continue;
    const last = middleOf(game);
    if (answer.includes('Too low')) game.low = last + 1;
    if (answer.includes('Too high')) game.high = last - 1;
    answer = '';
    game.guesses += 1;
    client.write(`${middleOf(game)}\n`);
  }
  expect(game.transcript).toContain(`Yes, ${middleOf(game)}! You needed ${game.guesses} guess`);
  expect(game.guesses).toBeLessThanOrEqual(7);
  await host.stop();
});

it.each(['abc', '', '0', '101', '-5', '5.5', '1e1', '0x10', '٣', '9'.repeat(500)])(
  'asks again for a number when it gets "%s"',
  async (junk) => {
    const { stdout, stderr, status } = await runOnPipes(guess, `${junk}\n`);
    expect(stdout).toContain('Please send a whole number from 1 to 100.\nYour guess? ');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  },
);

it('takes a guess from a client that ends its lines with CR LF, or its last line with nothing', async () => {
  const { stdout } = await runOnPipes(guess, '50\r\n50');
  expect(stdout).not.toContain('Please');
  expect(stdout).toMatch(/Too|Yes/);
});

it('tells the number and says goodbye when the player stops sending', async () => {
  const { stdout, status } = await runOnPipes(guess, '');
  expect(stdout).toMatch(/It was \d+\. Goodbye\.\n$/);
  expect(status).toBe(0);
});

it('outlives a line of many megabytes', async () => {
  const { stdout, status } = await runOnPipes(guess, Buffer.alloc(8_000_000, 'x'));
  expect(stdout).toMatch(/Goodbye\.\n$/);
  expect(status).toBe(0);
});

it('thinks of different numbers in different games', async () => {
  const games = await Promise.all(Array.from({ length: 8 }, () => runOnPipes(guess, '')));
  expect(new Set(games.map(({ stdout }) => stdout)).size).toBeGreaterThan(1);
});

it('ends without a complaint when the player hangs up', async () => {
  const [program = '', ...args] = guess;
  const child = spawn(program, args);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.stdin.write('1\n100\n'); // and stays open: what ends the game is that nobody takes the answers
  const [complaint, [status]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  expect({ complaint, status }).toEqual({ complaint: '', status: 0 });
});

function middleOf({ low, high }: { low: number; high: number }): number {
  return Math.floor((low + high) / 2);
}
