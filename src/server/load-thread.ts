/**
 * The loader's thread: reads the configuration, answers once, ends. Started by loader.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadAgain, loadConfiguration, type SourceText } from '../config/load';
import { systemMachine } from '../machine/system-machine';
import type { PassedSocket } from '../service/listen-text';
import { pack } from './packets';

export interface LoadOrder {
  readonly file: string;
  readonly passed: readonly PassedSocket[];
  /** What was read before: no file is read, and the machine is asked again. */
  readonly texts?: readonly SourceText[];
}

const { file, passed, texts } = workerData as LoadOrder;
const machine = systemMachine(passed);
parentPort?.postMessage(pack(texts === undefined ? loadConfiguration(file, machine) : loadAgain(texts, machine)));
