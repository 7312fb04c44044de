import { KdumpError } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { changesToState } from '../../hotplug/sync.js';
import type { Console } from '../console.js';
import type { ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { stateFrom, type StateOptions } from '../state-options.js';
import { planAndApply, type WriteOptions } from '../plan-and-apply.js';

export interface SyncOptions extends ImageOptions, StateOptions, WriteOptions {
  compat?: 'linux';
  force?: boolean;
}

export function sync(fileSystem: FileSystem, path: string, options: SyncOptions, console: Console): Outcome {
  if (options.iomem === undefined && options.deviceTree === undefined) {
    throw new KdumpError('usage', 'no machine state given', { expected: '--iomem, --device-tree or both' });
  }
  const state = stateFrom(options, fileSystem);
  // A machine's state is what is there now, so nodes of CPUs that are gone go.
  const planOptions = { compat: options.compat, force: options.force, pruneCpus: true, deviceTree: state.deviceTree };
  return planAndApply(fileSystem, path, options, console, { planOptions, changesFor: (image) => changesToState(image, state).changes });
}
