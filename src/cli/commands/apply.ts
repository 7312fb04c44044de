import type { FileSystem } from '../../file/file-system.js';
import { refuseExisting } from '../../file/new-file.js';
import { isNothingToDo, planHotplug, type Plan } from '../../hotplug/plan.js';
import { closeImage } from '../../image/open.js';
import type { Change } from '../../machine/changes.js';
import { applyPlan } from '../../patch/apply.js';
import { changesFrom, planOptionsFrom, type ChangeArgument, type ChangeOptions } from '../change-options.js';
import type { Console } from '../console.js';
import { planToJson } from '../json.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { renderPlan } from '../render-plan.js';

export interface ApplyOptions extends ImageOptions, ChangeOptions {
  dryRun?: boolean;
  output?: string;
  overwrite?: boolean;
  json?: boolean;
}

/** `plan` is `apply --dry-run`: both go through the same computations and checks. */
export function apply(
  fileSystem: FileSystem,
  path: string,
  given: readonly ChangeArgument[],
  options: ApplyOptions,
  console: Console,
): Outcome {
  const changes = changesFrom(given, fileSystem);
  const planOptions = planOptionsFrom(options, fileSystem);
  const { output } = options;
  if (options.dryRun !== true && output !== undefined) {
    refuseExisting(fileSystem, output, options.overwrite === true);
    withPlan(fileSystem, path, changes, options, planOptions, false, () => undefined);
    if (options.overwrite === true) fileSystem.remove(output);
    fileSystem.copy(path, output);
  }
  const writes = options.dryRun !== true;
  withPlan(fileSystem, output !== undefined && writes ? output : path, changes, options, planOptions, writes, (plan) => {
    const applied = writes && !isNothingToDo(plan);
    if (applied) {
      const written = applyPlan(fileSystem, plan);
      console.detail(`${written} bytes written and read back`);
    }
    console.print(options.json === true ? JSON.stringify(planToJson(plan, applied), null, 2) : renderPlan(plan, applied, console.theme));
  });
  return 'done';
}

function withPlan(
  fileSystem: FileSystem,
  path: string,
  changes: readonly Change[],
  options: ApplyOptions,
  planOptions: Parameters<typeof planHotplug>[2],
  writable: boolean,
  use: (plan: Plan) => void,
): void {
  const image = openImageFrom(fileSystem, path, options, writable);
  try {
    use(planHotplug(image, changes, planOptions));
  } finally {
    closeImage(image);
  }
}
