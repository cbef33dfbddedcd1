/**
 * The loader's thread: reads the configuration, answers once, ends. Started by reload.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadConfiguration } from '../config/load';
import type { PassedSocket } from '../service/listen-text';
import { systemHost } from './host';

export interface LoadOrder {
  readonly file: string;
  readonly passed: readonly PassedSocket[];
}

const { file, passed } = workerData as LoadOrder;
parentPort?.postMessage(loadConfiguration(file, systemHost(passed)));
