import type { FileSystem } from '../file/file-system.js';
import type { KdumpImage } from '../image/image.js';
import type { SegmentSource } from '../image/pack/pack.js';
import { totalSize } from '../memory/range-set.js';
import { sizeOf, type Range } from '../memory/range.js';
import type { Work } from './progress.js';

// The work that can take long, and how many bytes it is.

/** Finding an image, where it has to be looked for in all memory. */
export function searching(fileSystem: FileSystem, path: string, crashKernel: Range | undefined): Work {
  return {
    what: `looking for the image in ${path}`,
    counts: 'read',
    total: () => (crashKernel === undefined ? sizeOfFile(fileSystem, path) : Number(sizeOf(crashKernel))),
  };
}

/** Reading all that the purgatory's digest covers. */
export function hashing({ purgatory }: KdumpImage): Work {
  return { what: "checking the purgatory's digest", counts: 'read', total: () => Number(totalSize(purgatory?.regions?.regions ?? [])) };
}

export function comparing(before: KdumpImage, after: KdumpImage): Work {
  const size = ({ segments }: KdumpImage): number => segments.reduce((sum, { memsz }) => sum + Number(memsz), 0);
  return { what: 'comparing', counts: 'read', total: () => size(before) + size(after) };
}

export function writingSegments(path: string, segments: readonly SegmentSource[]): Work {
  return { what: `writing ${path}`, counts: 'written', total: () => segments.reduce((sum, { size }) => sum + Number(size), 0) };
}

/** Copying a file, its holes counted as if they were written. */
export function copying(fileSystem: FileSystem, path: string): Work {
  return { what: `copying ${path}`, counts: 'written', total: () => sizeOfFile(fileSystem, path) };
}

function sizeOfFile(fileSystem: FileSystem, path: string): number {
  const descriptor = fileSystem.open(path, 'read');
  try {
    return Number(fileSystem.status(descriptor).size);
  } finally {
    fileSystem.close(descriptor);
  }
}
