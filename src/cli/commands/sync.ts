import { KdumpError } from '../../errors.js';
import { changesToState } from '../../hotplug/sync.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { compatOption } from '../change-options.js';
import { addImageOptions, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { addStateOptions, stateFrom, type StateOptions } from '../state-options.js';
import { addWriteOptions, planAndApply, type WriteOptions } from '../plan-and-apply.js';

interface SyncOptions extends CommonOptions, ImageOptions, StateOptions, WriteOptions {
  compat?: 'linux';
  force?: boolean;
}

export const syncCommand: CommandDefinition = {
  summary: 'bring an image to the state of a machine',
  define(command, act) {
    addWriteOptions(addImageOptions(addStateOptions(command)))
      .argument('<image>')
      .option('--force', 'go on where a refusal says that it is forcible')
      .addOption(compatOption())
      .action((path: string, options: SyncOptions) => {
        act(options, (context) => sync(context, path, options));
      });
  },
};

function sync(context: Context, path: string, options: SyncOptions): Outcome {
  if (options.iomem === undefined && options.deviceTree === undefined) {
    throw new KdumpError('usage', 'no machine state given', { expected: '--iomem, --device-tree or both' });
  }
  const state = stateFrom(options, context.fileSystem);
  // A machine's state is what is there now, so nodes of CPUs that are gone go.
  const planOptions = { compat: options.compat, force: options.force, pruneCpus: true, deviceTree: state.deviceTree };
  return planAndApply(context, path, options, { planOptions, changesFor: (image) => changesToState(image, state).changes });
}
