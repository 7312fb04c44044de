import { diffImages, isSame } from '../../check/diff.js';
import { closeImage } from '../../image/open.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { diffToJson } from '../render/json.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { comparing } from '../progress-of.js';
import { renderDiff } from '../render/render-diff.js';

export const diffCommand: CommandDefinition = {
  summary: 'what differs between two images, in CPUs and memory ranges',
  define(command, act) {
    command.argument('<before>', IMAGE_ARGUMENT).argument('<after>', 'the same');
    addImageOptions(command).action((before: string, after: string, options: ImageOptions & CommonOptions) => {
      act(options, (context) => diff(context, before, after, options));
    });
  },
};

function diff({ fileSystem, console, progress }: Context, before: string, after: string, options: ImageOptions & CommonOptions): Outcome {
  const first = openImageFrom({ fileSystem, console, progress }, before, options);
  try {
    const second = openImageFrom({ fileSystem, console, progress }, after, options);
    try {
      const difference = progress.during(comparing(first, second), () => diffImages(first, second));
      console.result(
        () => ({ ...diffToJson(difference), interrupted: { before: first.isInterrupted, after: second.isInterrupted } }),
        (theme) => renderDiff(first, second, difference, theme),
      );
      return isSame(difference) ? 'done' : 'differs';
    } finally {
      closeImage(second);
    }
  } finally {
    closeImage(first);
  }
}
