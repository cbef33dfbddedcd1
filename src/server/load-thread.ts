/**
 * The loader's thread: reads the configuration, answers once, ends. Started by reload.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadConfiguration } from '../config/load';
import { systemMachine } from '../machine/system-machine';
import type { PassedSocket } from '../service/listen-text';

export interface LoadOrder {
  readonly file: string;
  readonly passed: readonly PassedSocket[];
}

const { file, passed } = workerData as LoadOrder;
parentPort?.postMessage(loadConfiguration(file, systemMachine(passed)));
