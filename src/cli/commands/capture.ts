import type { FileSystem } from '../../file/file-system.js';
import { refuseExisting } from '../../file/new-file.js';
import { closeImage } from '../../image/open.js';
import { packImage, segmentSources } from '../../image/pack.js';
import type { Console } from '../console.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { reportNewImage } from '../new-image.js';

export interface CaptureOptions extends ImageOptions {
  output: string;
  iomem?: string;
  overwrite?: boolean;
  json?: boolean;
}

export function capture(fileSystem: FileSystem, source: string, options: CaptureOptions, console: Console): Outcome {
  refuseExisting(fileSystem, options.output, options.overwrite === true);
  const image = openImageFrom(fileSystem, source, options.iomem === undefined ? options : { ...options, crashKernelFrom: options.iomem });
  try {
    packImage(fileSystem, options.output, { ...image, segments: segmentSources(image) }, options.overwrite === true);
  } finally {
    closeImage(image);
  }
  reportNewImage(fileSystem, options.output, options.json === true, console);
  return 'done';
}
