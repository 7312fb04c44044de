import { refuseExisting } from '../../file/new-file.js';
import { closeImage } from '../../image/open.js';
import { refuseForeignJournal } from '../../journal/find-journal.js';
import { segmentSources } from '../../image/pack/pack.js';
import { readMachineState } from '../../machine/read-machine-state.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { makeNewImage } from '../new-image.js';

interface CaptureOptions extends CommonOptions, ImageOptions {
  output: string;
  iomem?: string;
  deviceTree?: string;
  overwrite?: boolean;
}

export const captureCommand: CommandDefinition = {
  summary: 'take the segments out of memory into a packed image',
  define(command, act) {
    command
      .argument('<memory>', IMAGE_ARGUMENT.replace(/^.*: /, ''))
      .requiredOption('-o, --output <image>', 'the new image')
      .option('--iomem <file>', 'take the crashkernel range from there (default /proc/iomem for /proc/kcore)')
      .option('--device-tree <path>', 'take it from /chosen there, where --iomem has none (default /proc/device-tree for /proc/kcore)')
      .option('--overwrite', 'replace an existing output file');
    addImageOptions(command).action((source: string, options: CaptureOptions) => {
      act(options, (context) => capture(context, source, options));
    });
  },
};

function capture(context: Context, source: string, options: CaptureOptions): Outcome {
  const { fileSystem } = context;
  refuseExisting(fileSystem, options.output, options.overwrite === true);
  refuseForeignJournal(fileSystem, options.output);
  const { iomem, deviceTree } = options;
  const image = openImageFrom(context, source, {
    ...options,
    machine: readMachineState(fileSystem, { iomem, deviceTree }),
  });
  try {
    makeNewImage(context, options.output, { ...image, segments: segmentSources(image) }, options.overwrite);
  } finally {
    closeImage(image);
  }
  return 'done';
}
