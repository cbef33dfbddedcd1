// On what machine, and when, was this measured? A rate without these facts says nothing.
// Called once by each benchmark, before it puts load on the machine.

import os from 'node:os';

export interface MachineFacts {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly user: string;
  /** The three load averages before the benchmark began. */
  readonly loadAverage: readonly number[];
}

export function readMachineFacts(): MachineFacts {
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    user: process.getuid?.() === 0 ? 'root' : 'an ordinary user',
    loadAverage: os.loadavg().map((load) => Math.round(load * 100) / 100),
  };
}

export function formatMachineFacts(facts: MachineFacts): string {
  const lines = [
    `Measured ${facts.date} as ${facts.user}`,
    `CPU: ${facts.cpu}, ${facts.cores} cores; memory: ${facts.memoryGiB} GiB`,
    `Kernel: ${facts.kernel}; Node.js: ${facts.node}`,
    `Load average at the start: ${facts.loadAverage.join(' ')}`,
  ];
  return lines.map((line) => `- ${line}\n`).join('');
}
