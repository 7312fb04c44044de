import { KdumpError } from '../errors.js';
import { equalBytes } from '../bytes/compare.js';
import type { FileSystem } from '../file/file-system.js';
import type { InputFile } from '../file/input-file.js';
import type { Plan } from '../plan/plan.js';
import { changedRuns } from '../plan/segment-plan.js';
import { commitPatch, preparePatch, readBack, type Patch, type PreparedPatch } from './commit.js';
import { refuseUse, usersOf } from './in-use.js';
import { refuseUnlessLoaded } from './loaded.js';
import type { PatchableMemory } from '../memory-source/physical-memory.js';
import { patchableMemory, type ImageTarget } from './target.js';

/** What is known of the file that is written to. */
export interface ApplyOptions {
  /** The file is somebody's memory, such as that of a paused guest. */
  readonly live?: boolean | undefined;
  /** Writes even where nothing shows that the guest is paused. */
  readonly force?: boolean | undefined;
}

/** What {@link applyPlan} did. */
export interface ApplyResult {
  /** Bytes written to the image, those that stay the same between changed ones among them. */
  readonly written: number;
  /** Processes that could not be asked whether they use the file. */
  readonly unknownUsers: number;
}

/**
 * Writes what `plan` changes into its image, all of it or nothing. The plan must be of the image in `target`'s file.
 *
 * @throws KdumpError `refused` when the file has changed since it was planned or a guest runs on it; `io` when it is in use or writing failed
 */
export function applyPlan(target: ImageTarget, plan: Plan, { live = false, force = false }: ApplyOptions = {}): ApplyResult {
  const patch = patchOf(plan, target.memory);
  if (patch.runs.length === 0) return { written: 0, unknownUsers: 0 };
  const users = usersOf(target.fileSystem, target.status);
  refuseUse(target.file.path, users, live, force);
  refuseUnlessLoaded(plan.image, force);
  commitPatch(target, patch, { live });
  return { written: sizeOf(patch), unknownUsers: users.unknown };
}

/**
 * As {@link applyPlan}, for a guest that still runs: all but the write itself is done now, up to the journal on the disk. `write` is to be called
 * once the guest is paused; it looks whether the image is still the one that the kernel has loaded, and the guest changed nothing that the plan was made from. Who else uses the file, the caller has
 * looked at: /proc does not show that a monitor pauses a guest.
 *
 * @returns with the number of bytes as `size`; undefined when there is nothing to write
 * @throws KdumpError as `applyPlan`
 */
export function preparePlan(target: ImageTarget, plan: Plan, force = false): (PreparedPatch & { readonly size: number }) | undefined {
  const patch = patchOf(plan, target.memory);
  if (patch.runs.length === 0) return undefined;
  const prepared = preparePatch(target, patch, { live: true }, true);
  return {
    ...prepared,
    size: sizeOf(patch),
    write: () => {
      try {
        refuseUnlessLoaded(plan.image, force);
        refuseOutdated(target, plan);
      } catch (error) {
        prepared.abandon();
        throw error;
      }
      prepared.write();
    },
  };
}

/**
 * Writes what `plan` changes into `file`, an open copy of its image that nobody else knows yet: without a journal, for nobody misses a copy that is
 * not made.
 *
 * @returns the number of bytes written
 * @throws KdumpError `io`
 */
export function writePlan(fileSystem: FileSystem, file: InputFile, plan: Plan): number {
  const patch = patchOf(plan, patchableMemory(plan.image.memory));
  const writes = patch.runs.map(({ position, after }) => ({ position, bytes: after }));
  for (const { position, bytes } of writes) fileSystem.write(file.descriptor, bytes, position);
  fileSystem.sync(file.descriptor);
  readBack(file, writes);
  return sizeOf(patch);
}

function sizeOf({ runs }: Patch): number {
  return runs.reduce((sum, { after }) => sum + after.length, 0);
}

function refuseOutdated(target: ImageTarget, { image, segments }: Plan): void {
  for (const { name, address, before } of segments) {
    if (equalBytes(image.memory.read(address, before.length), before)) continue;
    throw new KdumpError('refused', 'the guest changed the image while the change was planned', {
      file: target.file.path,
      segment: name,
      found: 'other bytes than before',
      remedy: 'nothing was written; try again',
    });
  }
}

/** Where in the file each change of a plan goes. @throws KdumpError `input` when the file does not store a byte that changes */
export function patchOf(plan: Plan, memory: PatchableMemory): Patch {
  const changed = plan.segments.map((segment) => ({ segment, runs: changedRuns(segment) })).filter(({ runs }) => runs.length > 0);
  const runs = changed.flatMap((each) =>
    each.runs.map(({ address, before, after }) => ({ position: memory.fileOffset(address, after.length), before, after })),
  );
  return {
    runs: runs.sort((a, b) => a.position - b.position),
    // The elfcorehdr and FDT begin with a magic; the purgatory does not, and nobody reads it without them.
    markers: changed.filter(({ segment }) => segment.name !== 'purgatory').map(({ segment }) => memory.fileOffset(segment.address, 1)),
  };
}
