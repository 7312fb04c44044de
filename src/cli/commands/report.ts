import { KdumpError, printable } from '../../errors.js';
import { makeFile, readersOf, refuseExisting } from '../../file/new-file.js';
import { checkImage } from '../../check/check.js';
import { diffImages } from '../../check/diff.js';
import { stateOfKernel } from '../../machine/kernel-state.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { syncAdvice } from '../sync-advice.js';
import { addStateOptions, stateFrom, type StateOptions } from '../options/state-options.js';

interface ReportOptions extends CommonOptions, ImageOptions, StateOptions {
  output: string;
  before?: string;
  overwrite?: boolean;
}

export const reportCommand: CommandDefinition = {
  summary: 'one self-contained HTML page: memory map, coverage, CPUs, findings, before and after',
  define(command, act) {
    command
      .argument('<image>', IMAGE_ARGUMENT)
      .requiredOption('-o, --output <file>', 'the page: report.html')
      .option('--before <image>', 'an earlier image to compare with')
      .option('--overwrite', 'replace an existing output file');
    addImageOptions(addStateOptions(command)).action((path: string, options: ReportOptions) => {
      act(options, (context) => report(context, path, options));
    });
  },
};

async function report({ fileSystem, console, progress, version }: Context, path: string, options: ReportOptions): Promise<Outcome> {
  const { output, overwrite = false } = options;
  refuseExisting(fileSystem, output, overwrite);
  refuseInput(fileSystem, output, [path, ...(options.before === undefined ? [] : [options.before])]);
  // The page's style and text are of use to this command alone.
  const { renderReport } = await import('../../report/page.js');
  const told = stateFrom(options, fileSystem);
  const where = { ...options, machine: told };
  const image = openImageFrom({ fileSystem, console, progress }, path, where);
  let before: KdumpImage | undefined;
  try {
    before = options.before === undefined ? undefined : openImageFrom({ fileSystem, console, progress }, options.before, where);
    const state = stateOfKernel(image.kernel, told);
    const check = checkImage(image, told);
    const page = renderReport({
      image,
      check,
      state,
      sync: syncAdvice(path, options, image, state, check),
      before: before === undefined ? undefined : { image: before, check: checkImage(before, told), difference: diffImages(before, image) },
      version,
    });
    const given = [options.iomem, options.deviceTree, options.memoryBlocks, options.cpus].filter((each) => each !== undefined);
    const images = before === undefined ? [image] : [image, before];
    const from = [...images.map(({ memory }) => memory.status), ...given.map((each) => readersOf(fileSystem, each))];
    makeFile(fileSystem, output, overwrite, from, (descriptor) => {
      fileSystem.write(descriptor, Buffer.from(page), 0);
    });
  } finally {
    if (before !== undefined) closeImage(before);
    closeImage(image);
  }
  console.result(
    () => ({ file: path, report: output, interrupted: image.isInterrupted }),
    () => `${printable(output)}: report on ${printable(path)}`,
  );
  return 'done';
}

/** The new file takes the place of what has its name: with --overwrite, that must not be an image. */
function refuseInput(fileSystem: Context['fileSystem'], output: string, inputs: readonly string[]): void {
  if (!fileSystem.exists(output)) return;
  const place = fileSystem.realPath(output);
  for (const input of inputs) {
    if (fileSystem.exists(input) && fileSystem.realPath(input) === place) {
      throw new KdumpError('usage', 'the report would take the place of an image', {
        file: output,
        expected: 'another name for the report',
      });
    }
  }
}
