import type { FileSystem } from '../file/file-system.js';
import { refuseExisting } from '../file/new-file.js';
import { isNothingToDo, planHotplug, type Plan, type PlanOptions } from '../hotplug/plan.js';
import type { KdumpImage } from '../image/image.js';
import { closeImage } from '../image/open.js';
import type { Change } from '../machine/changes.js';
import { applyPlan } from '../patch/apply.js';
import type { Console } from './console.js';
import { planToJson } from './json.js';
import { openImageFrom, type ImageOptions } from './options.js';
import type { Outcome } from './outcome.js';
import { renderPlan } from './render-plan.js';

/** Values of the options of commands that write to an image. */
export interface WriteOptions {
  dryRun?: boolean;
  output?: string;
  overwrite?: boolean;
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
  const { output } = options;
  const writes = options.dryRun !== true;
  if (writes && output !== undefined) {
    refuseExisting(fileSystem, output, options.overwrite === true);
    // A change that is refused leaves no copy behind.
    withPlan(fileSystem, path, options, work, false, () => undefined);
    if (options.overwrite === true) fileSystem.remove(output);
    fileSystem.copy(path, output);
  }
  withPlan(fileSystem, writes ? (output ?? path) : path, options, work, writes, (plan) => {
    const applied = writes && !isNothingToDo(plan);
    if (applied) console.detail(`${applyPlan(fileSystem, plan)} bytes written and read back`);
    console.print(options.json === true ? JSON.stringify(planToJson(plan, applied), null, 2) : renderPlan(plan, applied, console.theme));
  });
  return 'done';
}

function withPlan(
  fileSystem: FileSystem,
  path: string,
  options: ImageOptions,
  work: Work,
  writable: boolean,
  use: (plan: Plan) => void,
): void {
  const image = openImageFrom(fileSystem, path, options, writable);
  try {
    use(planHotplug(image, work.changesFor(image), work.planOptions));
  } finally {
    closeImage(image);
  }
}
