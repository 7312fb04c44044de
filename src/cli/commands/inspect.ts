import { formatDts } from '../../fdt/dts.js';
import { KdumpError } from '../../errors.js';
import { digestFindings } from '../../check/check.js';
import { kernelFindings } from '../../check/kernel-word.js';
import { soundFindings } from '../../check/sound.js';
import { verifyDigest, type DigestStatus } from '../../check/verify-digest.js';
import { closeImage } from '../../image/open.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { inspectToJson } from '../render/json.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { hashing } from '../progress-of.js';
import { renderInspect } from '../render/render-inspect.js';

interface InspectOptions extends CommonOptions, ImageOptions {
  verify?: boolean;
  fdt?: boolean;
}

export const inspectCommand: CommandDefinition = {
  summary: 'show what is in an image',
  define(command, act) {
    command
      .argument('<image>', IMAGE_ARGUMENT)
      .option('--verify', "check the purgatory's digest, which reads all it covers")
      .option('--fdt', 'print the device tree source');
    addImageOptions(command).action((path: string, options: InspectOptions) => {
      act(options, (context) => inspect(context, path, options));
    });
  },
};

function inspect({ fileSystem, console, progress }: Context, path: string, options: InspectOptions): Outcome {
  const image = openImageFrom({ fileSystem, console, progress }, path, options);
  try {
    if (options.fdt === true) {
      if (image.fdt === null) throw new KdumpError('input', 'the image has no FDT', { file: path });
      console.print(formatDts(image.fdt.tree).trimEnd());
      return 'done';
    }
    const unchecked: DigestStatus = image.purgatory?.regions == null ? 'absent' : 'unchecked';
    const digest = options.verify === true ? progress.during(hashing(image), () => verifyDigest(image)) : unchecked;
    const findings = [...soundFindings(image), ...digestFindings(image, digest), ...kernelFindings(image)];
    console.result(
      () => inspectToJson(image, digest, findings),
      (theme) => renderInspect(image, digest, findings, theme),
    );
    return 'done';
  } finally {
    closeImage(image);
  }
}
