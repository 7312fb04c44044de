import type { FileSystem } from '../../file/file-system.js';
import { formatDts } from '../../fdt/dts.js';
import { KdumpError } from '../../errors.js';
import { soundFindings } from '../../hotplug/sound.js';
import { verifyDigest, type DigestStatus } from '../../hotplug/verify-digest.js';
import { closeImage } from '../../image/open.js';
import type { Console } from '../console.js';
import { inspectToJson } from '../json.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { renderInspect } from '../render-inspect.js';

export interface InspectOptions extends ImageOptions {
  verify?: boolean;
  fdt?: boolean;
  json?: boolean;
}

export function inspect(fileSystem: FileSystem, path: string, options: InspectOptions, console: Console): Outcome {
  const image = openImageFrom(fileSystem, path, options);
  try {
    if (options.fdt === true) {
      if (image.fdt === null) throw new KdumpError('input', 'the image has no FDT', { file: path });
      console.print(formatDts(image.fdt.tree).trimEnd());
      return 'done';
    }
    const unchecked: DigestStatus = image.purgatory?.regions == null ? 'absent' : 'unchecked';
    const digest = options.verify === true ? verifyDigest(image) : unchecked;
    const findings = soundFindings(image);
    console.print(
      options.json === true
        ? JSON.stringify(inspectToJson(image, digest, findings), null, 2)
        : renderInspect(image, digest, findings, console.theme),
    );
    return 'done';
  } finally {
    closeImage(image);
  }
}
