import { printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { soundFindings } from '../check/sound.js';
import { closeImage, openImage } from '../image/open.js';
import { formatSize } from '../text/numbers.js';
import type { Console } from './console.js';
import { inspectToJson } from './render/json.js';

/** Opens an image that was just written, which proves that it can be, and says what it is. */
export function reportNewImage(fileSystem: FileSystem, path: string, console: Console): void {
  const image = openImage(fileSystem, path);
  try {
    const { segments, architecture, memory } = image;
    const digest = image.purgatory?.regions == null ? 'absent' : 'unchecked';
    console.result(
      () => inspectToJson(image, digest, soundFindings(image)),
      () => `${printable(path)}: ${architecture.name} kdump image, ${segments.length} segments, ${formatSize(memory.file.size)}`,
    );
  } finally {
    closeImage(image);
  }
}
