import { resolve } from 'node:path';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { moveIntoPlace, refuseExisting, temporaryName } from '../file/new-file.js';
import { isNothingToDo, planHotplug, type Plan, type PlanOptions } from '../plan/plan.js';
import type { KdumpImage } from '../image/image.js';
import { closeImage } from '../image/open.js';
import { readCommitted } from '../journal/read-committed.js';
import type { Change } from '../machine/changes.js';
import { applyPlan } from '../patch/apply.js';
import { closeTarget } from '../patch/target.js';
import { saveUndo, undoOf } from '../patch/undo.js';
import type { Context } from './command.js';
import type { Console } from './console.js';
import { planToJson } from './render/json.js';
import { openForPatchingFrom, openImageFrom } from './open-image.js';
import type { ImageOptions } from './options/image-options.js';
import type { WriteOptions } from './options/write-options.js';
import type { Outcome } from './outcome.js';
import { copying, hashing } from './progress-of.js';
import { renderPlan } from './render/render-plan.js';

interface Work {
  readonly planOptions: PlanOptions;
  readonly changesFor: (image: KdumpImage) => readonly Change[];
  /** What plans them, where it is not all or nothing. */
  readonly plan?: typeof planHotplug;
}

/** Plans, writes unless it is a dry run, and reports. `plan` is `apply --dry-run`: both go through the same computations and checks. */
export function planAndApply(context: Context, path: string, options: ImageOptions & WriteOptions, work: Work): Outcome {
  const { fileSystem, console, progress } = context;
  if (options.dryRun === true) {
    const plan = onlyPlanned(context, path, options, work);
    report(plan, path, false, console);
    return outcomeOfPlan(plan);
  }
  const { output, saveUndo: undoFile } = options;
  if (undoFile !== undefined) refuseSame(fileSystem, undoFile, [path, ...(output === undefined ? [] : [output])]);
  if (output === undefined) return outcomeOfPlan(patch(context, path, path, options, work));
  const temporary = progress.during(copying(fileSystem, path), () => copyForPatching(fileSystem, path, output, options));
  try {
    const plan = patch(context, temporary, output, options, work);
    moveIntoPlace(fileSystem, temporary, output);
    return outcomeOfPlan(plan);
  } catch (error) {
    fileSystem.remove(temporary);
    throw error;
  }
}

/** An image of which a part could not be made differs from what was asked for. */
export function outcomeOfPlan({ changes }: Plan): Outcome {
  return changes.some(({ effect }) => effect.isRefused === true) ? 'differs' : 'done';
}

function planned(image: KdumpImage, { plan = planHotplug, changesFor, planOptions }: Work): Plan {
  return plan(image, changesFor(image), planOptions);
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
    if (file.isOverlaid)
      throw new KdumpError('io', 'a patch of it was interrupted', { code: 'interrupted', file: path, remedy: 'run recover first' });
    fileSystem.remove(temporary);
    fileSystem.copy(path, temporary);
    return file;
  }).close();
  return temporary;
}

function onlyPlanned({ fileSystem, console, progress }: Context, path: string, options: ImageOptions, work: Work): Plan {
  const image = openImageFrom({ fileSystem, console, progress }, path, options);
  try {
    return progress.during(hashing(image), () => planned(image, work));
  } finally {
    closeImage(image);
  }
}

/** @param shown the name that the result will have */
function patch(
  { fileSystem, console, progress }: Context,
  path: string,
  shown: string,
  options: ImageOptions & WriteOptions,
  work: Work,
): Plan {
  const { target, image, recovery } = openForPatchingFrom({ fileSystem, console, progress }, path, options, { live: options.live });
  try {
    if (recovery !== 'none') console.note(`a patch of ${printable(path)} was interrupted before; it is ${recovery}`);
    const plan = progress.during(hashing(image), () => planned(image, work));
    if (options.saveUndo !== undefined && !isNothingToDo(plan))
      saveUndo(fileSystem, options.saveUndo, target, undoOf(plan), options.overwrite === true);
    const { written, unknownUsers } = applyPlan(target, plan, { live: options.live, force: work.planOptions.force });
    if (unknownUsers > 0) console.detail(`could not look whether ${unknownUsers} processes use ${printable(path)}`);
    if (written > 0) console.detail(`${written} bytes written and read back`);
    report(plan, shown, written > 0, console);
    return plan;
  } finally {
    closeTarget(target);
  }
}

function report(plan: Plan, file: string, applied: boolean, console: Console): void {
  console.result(
    () => planToJson(plan, file, applied),
    (theme) => renderPlan(plan, file, applied, theme),
  );
}
