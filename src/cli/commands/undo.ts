import { printable } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import type { ApplyOptions } from '../../patch/apply.js';
import { recover } from '../../patch/recover.js';
import { closeTarget, openTarget } from '../../patch/target.js';
import { undoPatch } from '../../patch/undo.js';
import type { Console } from '../console.js';
import type { Outcome } from '../outcome.js';

export interface UndoOptions extends ApplyOptions {
  json?: boolean;
}

export function undo(fileSystem: FileSystem, path: string, undoFile: string, options: UndoOptions, console: Console): Outcome {
  const target = openTarget(fileSystem, path);
  try {
    const recovery = recover(target, { live: options.live });
    if (recovery !== 'none') console.note(`a patch of ${printable(path)} was interrupted before; it is ${recovery}`);
    const written = undoPatch(target, undoFile, options);
    console.print(
      options.json === true
        ? JSON.stringify({ file: path, applied: written > 0, undone: undoFile, bytesWritten: written }, null, 2)
        : `${printable(path)}: ${written > 0 ? 'taken back' : 'nothing to take back'}`,
    );
    return 'done';
  } finally {
    closeTarget(target);
  }
}
