import { resolve } from 'node:path';
import { KdumpError, printable } from '../errors.js';
import type { Compared } from '../check/compare-state.js';
import type { FileSystem } from '../file/file-system.js';
import { InputFile } from '../file/input-file.js';
import { makeFile, readersOf, refuseExisting } from '../file/new-file.js';
import { isNothingToDo, planHotplug, type Plan, type PlanOptions } from '../plan/plan.js';
import type { KdumpImage } from '../image/image.js';
import { closeImage } from '../image/open.js';
import { refuseForeignJournal } from '../journal/find-journal.js';
import { copyCommitted } from '../journal/read-committed.js';
import type { Change } from '../machine/changes.js';
import { applyPlan, writePlan, type ApplyResult } from '../patch/apply.js';
import { closeTarget } from '../patch/target.js';
import { saveUndo, undoOf, withUndo, type SavedUndo } from '../patch/undo.js';
import type { Context } from './command.js';
import type { Console } from './console.js';
import { planToJson } from './render/json.js';
import { openCopyFrom, openForPatchingFrom, openImageFrom, refuseKcore } from './open-image.js';
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
  /** Where the changes come of comparing the image with a machine: what of it was compared. */
  readonly compared?: (image: KdumpImage) => Compared;
}

/** Plans, writes unless it is a dry run, and reports. `plan` is `apply --dry-run`: both go through the same computations and checks. */
export function planAndApply(context: Context, path: string, options: ImageOptions & WriteOptions, work: Work): Outcome {
  const { fileSystem, console } = context;
  if (options.dryRun === true) {
    const plan = onlyPlanned(context, path, options, work);
    report(plan, path, false, console, work);
    return outcomeOfPlan(plan);
  }
  const { output, saveUndo: undoFile } = options;
  if (undoFile !== undefined) refuseSame(fileSystem, undoFile, [path, ...(output === undefined ? [] : [output])]);
  return outcomeOfPlan(output === undefined ? patch(context, path, options, work) : patchCopy(context, path, output, options, work));
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

/** The copy has its name once it is patched. Until then nobody knows it, so it needs no journal. */
function patchCopy(context: Context, path: string, output: string, options: ImageOptions & WriteOptions, work: Work): Plan {
  const { fileSystem, console, progress } = context;
  const overwrite = options.overwrite === true;
  refuseKcore(path);
  refuseExisting(fileSystem, output, overwrite);
  refuseSame(fileSystem, output, [path]);
  refuseForeignJournal(fileSystem, output);
  let undo: SavedUndo | undefined;
  try {
    const { plan, written } = makeFile(fileSystem, output, overwrite, [readersOf(fileSystem, path)], (descriptor) => {
      const isInterrupted = progress.during(copying(fileSystem, path), () => copyCommitted(fileSystem, path, descriptor));
      const status = fileSystem.status(descriptor);
      // Errors in what was copied are errors of the image.
      const file = new InputFile(fileSystem, path, descriptor, status.size, [], isInterrupted);
      const image = openCopyFrom(context, file, options);
      const made = progress.during(hashing(image), () => planned(image, work));
      if (options.saveUndo !== undefined && !isNothingToDo(made)) {
        undo = saveUndo(fileSystem, options.saveUndo, { status }, undoOf(made), overwrite);
      }
      return { plan: made, written: writePlan(fileSystem, file, made) };
    });
    undo?.keep();
    if (written > 0) console.detail(`${written} bytes written and read back`);
    report(plan, output, written > 0, console, work);
    return plan;
  } catch (error) {
    undo?.drop();
    throw error;
  }
}

function onlyPlanned({ fileSystem, console, progress }: Context, path: string, options: ImageOptions, work: Work): Plan {
  const image = openImageFrom({ fileSystem, console, progress }, path, options);
  try {
    return progress.during(hashing(image), () => planned(image, work));
  } finally {
    closeImage(image);
  }
}

function patch({ fileSystem, console, progress }: Context, path: string, options: ImageOptions & WriteOptions, work: Work): Plan {
  const { target, image, recovery } = openForPatchingFrom({ fileSystem, console, progress }, path, options, { live: options.live });
  try {
    if (recovery !== 'none') console.note(`a patch of ${printable(path)} was interrupted before; it is ${recovery}`);
    const plan = progress.during(hashing(image), () => planned(image, work));
    const apply = (): ApplyResult => applyPlan(target, plan, { live: options.live, force: work.planOptions.force });
    const { saveUndo: undoFile, overwrite = false } = options;
    const { written, unknownUsers } =
      undoFile === undefined || isNothingToDo(plan) ? apply() : withUndo(target, { path: undoFile, overwrite }, undoOf(plan), apply);
    if (unknownUsers > 0) console.detail(`could not look whether ${unknownUsers} processes use ${printable(path)}`);
    if (written > 0) console.detail(`${written} bytes written and read back`);
    report(plan, path, written > 0, console, work);
    return plan;
  } finally {
    closeTarget(target);
  }
}

function report(plan: Plan, file: string, applied: boolean, console: Console, { compared }: Work): void {
  console.result(
    () => planToJson(plan, file, applied, compared?.(plan.image)),
    (theme) => renderPlan(plan, file, applied, theme),
  );
}
