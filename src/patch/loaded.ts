import { KdumpError } from '../errors.js';
import { notLoaded } from '../check/kernel-word.js';
import type { KdumpImage } from '../image/image.js';

/**
 * Looks once more at what the kernel says in whose memory the image lies, before that is written to: memory of an image that is not loaded any more is
 * the kernel's own.
 *
 * @param force writes even where the kernel says that the image is another one
 * @throws KdumpError `refused` when it is not the loaded one, or the kernel is at it just now; `input` when the kernel cannot be read any more
 */
export function refuseUnlessLoaded(image: KdumpImage, force: boolean): void {
  const { kernel, memory } = image;
  if (kernel === null) return;
  kernel.lookAgain();
  const why = notLoaded(image);
  if (why !== null && !force) {
    throw new KdumpError('refused', 'the kernel has not loaded this image', { file: memory.path, found: why, forcible: true });
  }
  if (kernel.isKexecLocked === true) {
    throw new KdumpError('refused', 'the kernel is at its kdump image just now', {
      file: memory.path,
      found: 'its kexec lock is taken',
      remedy: 'nothing was written; try again',
    });
  }
}
