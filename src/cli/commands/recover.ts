import { printable } from '../../errors.js';
import { recover, type RecoverOptions } from '../../patch/recover.js';
import { closeTarget, openTarget } from '../../patch/target.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import type { Outcome } from '../outcome.js';

const SAID = {
  none: 'no patch was interrupted',
  untouched: 'a patch was interrupted before it touched the image; its journal is removed',
  'rolled back': 'an interrupted patch is rolled back; the image is as it was before',
  'rolled forward': 'an interrupted patch is rolled forward; the image is as the patch was to make it',
};

export const recoverCommand: CommandDefinition = {
  summary: 'roll back an interrupted patch (other writing commands do this first)',
  define(command, act) {
    command
      .argument('<image>', 'the image that was being patched')
      .option('--roll-forward', 'complete the patch instead')
      .option('--live', 'the file is the memory of a paused guest')
      .option('--force', 'although somebody else wrote to the image since')
      .action((path: string, options: RecoverOptions & CommonOptions) => {
        act(options, (context) => recoverImage(context, path, options));
      });
  },
};

function recoverImage({ fileSystem, console }: Context, path: string, options: RecoverOptions & CommonOptions): Outcome {
  const target = openTarget(fileSystem, path);
  try {
    const recovery = recover(target, options);
    console.result(
      () => ({ file: path, recovery }),
      () => `${printable(path)}: ${SAID[recovery]}`,
    );
    return 'done';
  } finally {
    closeTarget(target);
  }
}
