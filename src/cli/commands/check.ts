import type { FileSystem } from '../../file/file-system.js';
import { checkImage } from '../../hotplug/check.js';
import { closeImage } from '../../image/open.js';
import type { Console } from '../console.js';
import { checkToJson } from '../json.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { renderCheck } from '../render-check.js';
import { stateFrom, type StateOptions } from '../state-options.js';

export interface CheckOptions extends ImageOptions, StateOptions {
  json?: boolean;
}

export function check(fileSystem: FileSystem, path: string, options: CheckOptions, console: Console): Outcome {
  const state = stateFrom(options, fileSystem);
  const image = openImageFrom(fileSystem, path, options);
  try {
    const result = checkImage(image, state);
    console.print(options.json === true ? JSON.stringify(checkToJson(image, result), null, 2) : renderCheck(image, result, console.theme));
    return result.sound && result.current !== false ? 'done' : 'differs';
  } finally {
    closeImage(image);
  }
}
