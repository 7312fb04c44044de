import { KdumpError, hex } from '../errors.js';
import { equalBytes } from '../bytes/compare.js';
import type { FileSystem } from '../file/file-system.js';
import type { Plan } from '../hotplug/plan.js';
import { changedRuns } from '../hotplug/segment-plan.js';

interface Write {
  readonly segment: string;
  readonly address: bigint;
  readonly position: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/**
 * Writes what `plan` changes into its image's file, which is open for writing, and reads it back. The only code that writes to an image.
 *
 * Where each byte goes, and that the file still holds what the plan started from, is checked before the first write.
 *
 * @returns the number of bytes written
 * @throws KdumpError `refused` when the file has changed since it was planned; `io`
 */
export function applyPlan(fileSystem: FileSystem, plan: Plan): number {
  const { memory } = plan.image;
  const { file } = memory;
  const writes = plan.segments.flatMap((segment) =>
    changedRuns(segment).map(({ address, before, after }): Write => {
      return { segment: segment.name, address, before, after, position: memory.fileOffset(address, after.length) };
    }),
  );
  for (const write of writes) {
    if (!equalBytes(file.read(write.position, write.before.length), write.before)) {
      throw new KdumpError('refused', 'the image changed while the change was planned', {
        ...placeOf(file.path, write),
        remedy: 'nothing was written; stop whoever else writes to it and try again',
      });
    }
  }
  for (const { position, after } of writes) fileSystem.write(file.descriptor, after, position);
  if (writes.length > 0) fileSystem.sync(file.descriptor);
  for (const write of writes) {
    if (!equalBytes(file.read(write.position, write.after.length), write.after)) {
      throw new KdumpError('io', 'what was written reads back differently', {
        ...placeOf(file.path, write),
        remedy: 'take the image from a copy',
      });
    }
  }
  return writes.reduce((sum, { after }) => sum + after.length, 0);
}

function placeOf(file: string, { segment, address, position }: Write): { file: string; segment: string; offset: number; found: string } {
  return { file, segment, offset: position, found: `other bytes at physical address ${hex(address)}` };
}
