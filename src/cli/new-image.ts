import { printable } from '../errors.js';
import { soundFindings } from '../check/sound.js';
import type { KdumpImage } from '../image/image.js';
import { packImage } from '../image/pack/pack.js';
import { formatSize } from '../text/numbers.js';
import type { Context } from './command.js';
import { writingSegments } from './progress-of.js';
import { inspectToJson } from './render/json.js';

/** Makes a packed image, and says what it is as it reads now. */
export function makeNewImage(
  { fileSystem, console, progress }: Context,
  path: string,
  image: Parameters<typeof packImage>[2],
  overwrite = false,
): void {
  let [json, text]: [object, string] = [{}, ''];
  const look = (made: KdumpImage): void => {
    const digest = made.purgatory?.regions == null ? 'absent' : 'unchecked';
    json = inspectToJson(made, digest, soundFindings(made));
    text = `${printable(path)}: ${made.architecture.name} kdump image, ${made.segments.length} segments, ${formatSize(made.memory.status.size)}`;
  };
  progress.during(writingSegments(path, image.segments), () => {
    packImage(fileSystem, path, image, overwrite, look);
  });
  console.result(
    () => json,
    () => text,
  );
}
