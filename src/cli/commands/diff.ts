import type { FileSystem } from '../../file/file-system.js';
import { diffImages, isSame } from '../../hotplug/diff.js';
import { closeImage } from '../../image/open.js';
import type { Console } from '../console.js';
import { diffToJson } from '../json.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { renderDiff } from '../render-diff.js';

export function diff(
  fileSystem: FileSystem,
  before: string,
  after: string,
  options: ImageOptions & { json?: boolean },
  console: Console,
): Outcome {
  const first = openImageFrom(fileSystem, before, options);
  try {
    const second = openImageFrom(fileSystem, after, options);
    try {
      const difference = diffImages(first, second);
      console.print(options.json === true ? JSON.stringify(diffToJson(difference), null, 2) : renderDiff(difference, console.theme));
      return isSame(difference) ? 'done' : 'differs';
    } finally {
      closeImage(second);
    }
  } finally {
    closeImage(first);
  }
}
