import { resolve } from 'node:path';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { moveIntoPlace, refuseExisting, temporaryName } from '../file/new-file.js';
import { planHotplug, type Plan, type PlanOptions } from '../hotplug/plan.js';
import type { KdumpImage } from '../image/image.js';
import { closeImage } from '../image/open.js';
import { readCommitted } from '../journal/read-committed.js';
import type { Change } from '../machine/changes.js';
import { applyPlan, patchOf } from '../patch/apply.js';
import { closeTarget } from '../patch/target.js';
import { saveUndo } from '../patch/undo.js';
import type { Console } from './console.js';
import { planToJson } from './json.js';
import { openForPatchingFrom, openImageFrom, type ImageOptions } from './options.js';
import type { Outcome } from './outcome.js';
import { renderPlan } from './render-plan.js';

/** Values of the options of commands that write to an image. */
export interface WriteOptions {
  dryRun?: boolean;
  output?: string;
  overwrite?: boolean;
  saveUndo?: string;
  live?: boolean;
  json?: boolean;
}

interface Work {
  readonly planOptions: PlanOptions;
  readonly changesFor: (image: KdumpImage) => readonly Change[];
}

/** Plans, writes unless it is a dry run, and reports. `plan` is `apply --dry-run`: both go through the same computations and checks. */
export function planAndApply(
  fileSystem: FileSystem,
  path: string,
  options: ImageOptions & WriteOptions,
  console: Console,
  work: Work,
): Outcome {
  if (options.dryRun === true) {
    report(onlyPlanned(fileSystem, path, options, work), path, false, options, console);
    return 'done';
  }
  const { output, saveUndo: undoFile } = options;
  if (undoFile !== undefined) refuseSame(fileSystem, undoFile, [path, ...(output === undefined ? [] : [output])]);
  if (output === undefined) patch(fileSystem, path, path, options, console, work);
  else {
    const temporary = copyForPatching(fileSystem, path, output, options);
    try {
      patch(fileSystem, temporary, output, options, console, work);
      moveIntoPlace(fileSystem, temporary, output);
    } catch (error) {
      fileSystem.remove(temporary);
      throw error;
    }
  }
  return 'done';
}

/** @throws KdumpError `usage` when a file that is to be made is one of `others` */
function refuseSame(fileSystem: FileSystem, made: string, others: readonly string[]): void {
  const placeOf = (path: string): string => (fileSystem.exists(path) ? fileSystem.realPath(path) : resolve(path));
  if (!others.some((other) => placeOf(other) === placeOf(made))) return;
  throw new KdumpError('usage', 'the file to be made is the image itself', {
    file: made,
    remedy: 'give another name; without -o the image is patched in place',
  });
}

/** A copy of a committed state, beside `output` and under a temporary name. */
function copyForPatching(fileSystem: FileSystem, path: string, output: string, options: WriteOptions): string {
  refuseExisting(fileSystem, output, options.overwrite === true);
  refuseSame(fileSystem, output, [path]);
  const temporary = temporaryName(output);
  fileSystem.remove(temporary);
  readCommitted(fileSystem, path, (file) => {
    if (file.isOverlaid) throw new KdumpError('io', 'a patch of it was interrupted', { file: path, remedy: 'run recover first' });
    fileSystem.remove(temporary);
    fileSystem.copy(path, temporary);
    return file;
  }).close();
  return temporary;
}

function onlyPlanned(fileSystem: FileSystem, path: string, options: ImageOptions, work: Work): Plan {
  const image = openImageFrom(fileSystem, path, options);
  try {
    return planHotplug(image, work.changesFor(image), work.planOptions);
  } finally {
    closeImage(image);
  }
}

/** @param shown the name that the result will have */
function patch(
  fileSystem: FileSystem,
  path: string,
  shown: string,
  options: ImageOptions & WriteOptions,
  console: Console,
  work: Work,
): void {
  const { target, image, recovery } = openForPatchingFrom(fileSystem, path, options, { live: options.live });
  try {
    if (recovery !== 'none') console.note(`a patch of ${printable(path)} was interrupted before; it is ${recovery}`);
    const plan = planHotplug(image, work.changesFor(image), work.planOptions);
    if (options.saveUndo !== undefined) saveUndo(fileSystem, options.saveUndo, target, patchOf(plan), options.overwrite === true);
    const { written, unknownUsers } = applyPlan(target, plan, { live: options.live, force: work.planOptions.force });
    if (unknownUsers > 0) console.detail(`could not look whether ${unknownUsers} processes use ${printable(path)}`);
    if (written > 0) console.detail(`${written} bytes written and read back`);
    report(plan, shown, written > 0, options, console);
  } finally {
    closeTarget(target);
  }
}

function report(plan: Plan, file: string, applied: boolean, options: WriteOptions, console: Console): void {
  console.print(
    options.json === true ? JSON.stringify(planToJson(plan, file, applied), null, 2) : renderPlan(plan, file, applied, console.theme),
  );
}
