import type { FileSystem } from '../file/file-system.js';
import { readImage, type OpenImageOptions } from '../image/open.js';
import type { KdumpImage } from '../image/image.js';
import { recover, type RecoverOptions, type Recovery } from './recover.js';
import { closeTarget, openTarget, patchableMemory, type ImageTarget } from './target.js';

/**
 * Opens and locks the image at `path` for patching. A patch that was interrupted is rolled back first. Close it with {@link closeTarget}.
 *
 * @throws KdumpError as {@link openTarget}, {@link recover} and {@link openImage} do
 */
export function openForPatching(
  fileSystem: FileSystem,
  path: string,
  options: OpenImageOptions = {},
  use: Pick<RecoverOptions, 'live'> = {},
): { target: ImageTarget; image: KdumpImage; recovery: Recovery } {
  const target = openTarget(fileSystem, path);
  try {
    const recovery = recover(target, { live: use.live });
    const image = readImage(target.file, options);
    return { target: { ...target, memory: patchableMemory(image.memory) }, image, recovery };
  } catch (error) {
    closeTarget(target);
    throw error;
  }
}
