/**
 * The loader's thread: reads the configuration, answers once, ends. Started by reload.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadConfiguration } from '../config/load';
import { systemHost } from './host';

parentPort?.postMessage(loadConfiguration(workerData as string, systemHost()));
