import { printable } from '../../errors.js';
import type { ApplyOptions } from '../../patch/apply.js';
import { recover } from '../../patch/recover.js';
import { closeTarget, openTarget } from '../../patch/target.js';
import { undoPatch } from '../../patch/undo.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import type { Outcome } from '../outcome.js';

interface UndoOptions extends CommonOptions, ApplyOptions {}

export const undoCommand: CommandDefinition = {
  summary: 'undo an apply or sync that was given --save-undo',
  define(command, act) {
    command
      .argument('<image>', 'the image that was patched, or a copy of it')
      .argument('<undo-file>', 'what --save-undo wrote')
      .option('--live', 'the file is the memory of a paused guest')
      .option('--force', 'go on where a refusal says that it is forcible')
      .action((path: string, undoFile: string, options: UndoOptions) => {
        act(options, (context) => undo(context, path, undoFile, options));
      });
  },
};

function undo({ fileSystem, console }: Context, path: string, undoFile: string, options: UndoOptions): Outcome {
  const target = openTarget(fileSystem, path);
  try {
    const recovery = recover(target, { live: options.live });
    if (recovery !== 'none') console.note(`a patch of ${printable(path)} was interrupted before; it is ${recovery}`);
    const written = undoPatch(target, undoFile, options);
    console.result(
      () => ({ file: path, applied: written > 0, undone: undoFile, bytesWritten: written }),
      () => `${printable(path)}: ${written > 0 ? 'undone' : 'nothing to undo'}`,
    );
    return 'done';
  } finally {
    closeTarget(target);
  }
}
