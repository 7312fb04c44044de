import { checkImage } from '../../check/check.js';
import { closeImage } from '../../image/open.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { checkToJson } from '../render/json.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { renderCheck } from '../render/render-check.js';
import { hashing } from '../progress-of.js';
import { addStateOptions, stateFrom, type StateOptions } from '../options/state-options.js';

interface CheckOptions extends CommonOptions, ImageOptions, StateOptions {}

export const checkCommand: CommandDefinition = {
  summary: 'is an image sound, and does it match a machine?',
  define(command, act) {
    addImageOptions(addStateOptions(command.argument('<image>', IMAGE_ARGUMENT))).action((path: string, options: CheckOptions) => {
      act(options, (context) => check(context, path, options));
    });
  },
};

function check({ fileSystem, console, progress }: Context, path: string, options: CheckOptions): Outcome {
  const state = stateFrom(options, fileSystem);
  const image = openImageFrom(fileSystem, path, options, progress);
  try {
    const result = progress.during(hashing(image), () => checkImage(image, state));
    console.result(
      () => checkToJson(image, result),
      (theme) => renderCheck(image, result, theme),
    );
    return result.sound && result.current !== false ? 'done' : 'differs';
  } finally {
    closeImage(image);
  }
}
