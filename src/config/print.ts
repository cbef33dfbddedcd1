/**
 * The effective configuration as YAML.
 */
import { stringify } from 'yaml';
import type { EffectiveConfiguration } from './resolve/effective';

/** Loads again to the same configuration; only services named by whole numbers (`7007`) may come first. */
export function printConfiguration(effective: EffectiveConfiguration): string {
  return stringify(effective, { lineWidth: 0, aliasDuplicateObjects: false });
}
