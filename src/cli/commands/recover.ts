import { printable } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { recover, type RecoverOptions } from '../../patch/recover.js';
import { closeTarget, openTarget } from '../../patch/target.js';
import type { Console } from '../console.js';
import type { Outcome } from '../outcome.js';

const SAID = {
  none: 'no patch was interrupted',
  untouched: 'a patch was interrupted before it touched the image; its journal is removed',
  'taken back': 'an interrupted patch is taken back; the image is as it was before',
  finished: 'an interrupted patch is finished',
};

export function recoverImage(
  fileSystem: FileSystem,
  path: string,
  options: RecoverOptions & { json?: boolean },
  console: Console,
): Outcome {
  const target = openTarget(fileSystem, path);
  try {
    const recovery = recover(target, options);
    console.print(options.json === true ? JSON.stringify({ file: path, recovery }, null, 2) : `${printable(path)}: ${SAID[recovery]}`);
    return 'done';
  } finally {
    closeTarget(target);
  }
}
