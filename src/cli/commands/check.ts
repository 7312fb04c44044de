import { checkImage, type CheckResult } from '../../check/check.js';
import { KdumpError } from '../../errors.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import { stateOfKernel } from '../../machine/kernel-state.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { checkToJson, notLoadedToJson, type StateFrom } from '../render/json.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { renderCheck } from '../render/render-check.js';
import { hashing } from '../progress-of.js';
import { syncAdvice } from '../sync-advice.js';
import { addStateOptions, stateFrom, type StateOptions } from '../options/state-options.js';

interface CheckOptions extends CommonOptions, ImageOptions, StateOptions {
  strict?: boolean;
}

export const checkCommand: CommandDefinition = {
  summary: 'is an image sound, and does it match a machine?',
  define(command, act) {
    addStateOptions(command.argument('<image>', IMAGE_ARGUMENT)).option(
      '--strict',
      'exit code 1 also where not all that the image describes was compared',
    );
    addImageOptions(command).action((path: string, options: CheckOptions) => {
      act(options, (context) => check(context, path, options));
    });
  },
};

function check({ fileSystem, console, progress }: Context, path: string, options: CheckOptions): Outcome {
  const given = stateFrom(options, fileSystem);
  let image: KdumpImage;
  try {
    image = openImageFrom({ fileSystem, console, progress }, path, { ...options, machine: given });
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'not-loaded') throw error;
    const { message } = error;
    console.result(
      () => notLoadedToJson(path, message),
      () => message,
    );
    return 'differs';
  }
  try {
    const state = stateOfKernel(image.kernel, given);
    const result = progress.during(hashing(image), () => checkImage(image, given));
    const advice = syncAdvice(path, options, image, state, result);
    console.result(
      () => checkToJson(image, result, advice, stateFromOf(options, result)),
      (theme) => renderCheck(image, result, advice, theme),
    );
    const agrees = options.strict === true ? result.current === true : result.current !== false;
    return result.sound && agrees ? 'done' : 'differs';
  } finally {
    closeImage(image);
  }
}

/** What options do not give was asked of the kernel in the memory. */
function stateFromOf({ iomem, deviceTree, cpus }: CheckOptions, { compared }: CheckResult): StateFrom {
  return { memory: compared.memory ? (iomem ?? 'kernel') : null, cpus: compared.cpus ? (deviceTree ?? cpus ?? 'kernel') : null };
}
