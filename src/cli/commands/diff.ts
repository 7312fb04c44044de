import { diffImages, isSame } from '../../hotplug/diff.js';
import { closeImage } from '../../image/open.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { diffToJson } from '../json.js';
import { addImageOptions, openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { renderDiff } from '../render-diff.js';

export const diffCommand: CommandDefinition = {
  summary: 'what differs between two images, in CPUs and memory ranges',
  define(command, act) {
    addImageOptions(command)
      .argument('<before>')
      .argument('<after>')
      .action((before: string, after: string, options: ImageOptions & CommonOptions) => {
        act(options, (context) => diff(context, before, after, options));
      });
  },
};

function diff({ fileSystem, console }: Context, before: string, after: string, options: ImageOptions & CommonOptions): Outcome {
  const first = openImageFrom(fileSystem, before, options);
  try {
    const second = openImageFrom(fileSystem, after, options);
    try {
      const difference = diffImages(first, second);
      console.result(
        () => diffToJson(difference),
        (theme) => renderDiff(difference, theme),
      );
      return isSame(difference) ? 'done' : 'differs';
    } finally {
      closeImage(second);
    }
  } finally {
    closeImage(first);
  }
}
