import { KdumpError, printable } from '../../errors.js';
import { changesToGuest } from '../../guest/guest-changes.js';
import { planHotplug, type PlanOptions } from '../../plan/plan.js';
import type { KdumpImage } from '../../image/image.js';
import type { Change } from '../../machine/change.js';
import { saveUndo, undoOf } from '../../patch/undo.js';
import type { Context } from '../command.js';
import { devicesOfGuest, openGuest, patchGuest } from './guest-session.js';
import { planToJson } from '../render/json.js';
import type { ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import type { WriteOptions } from '../options/write-options.js';
import { renderPlan } from '../render/render-plan.js';

/** `apply` and `sync` with `--qmp`. Without `changesFor` the changes are what QEMU says the guest has. */
export async function patchGuestCommand(
  context: Context,
  image: string | undefined,
  options: ImageOptions & WriteOptions & { qmp: string },
  work: { planOptions: PlanOptions; changesFor?: (image: KdumpImage) => readonly Change[] },
): Promise<Outcome> {
  const { fileSystem, console } = context;
  if (options.output !== undefined) {
    throw new KdumpError('usage', '-o writes to a copy, which a guest does not run on', { expected: '--qmp without -o' });
  }
  const session = await openGuest(context, options.qmp, image, options);
  try {
    const { changesFor = await changesOf(context, session) } = work;
    const { plan, written, pausedMs } = await patchGuest(
      context,
      session,
      (each) => planHotplug(each, changesFor(each), work.planOptions),
      {
        isDryRun: options.dryRun === true,
        beforeWrite: (target, each) => {
          if (options.saveUndo !== undefined) saveUndo(fileSystem, options.saveUndo, target, undoOf(each), options.overwrite === true);
        },
      },
    );
    const file = session.path;
    console.result(
      () => ({ ...planToJson(plan, file, written > 0), pausedMs }),
      (theme) => renderPlan(plan, file, written > 0, theme) + (written > 0 ? `\nguest paused for ${pausedMs} ms` : ''),
    );
    if (written > 0) console.detail(`${written} bytes written to ${printable(file)} and read back`);
    return 'done';
  } finally {
    session.qmp.close();
  }
}

async function changesOf(
  context: Context,
  session: Awaited<ReturnType<typeof openGuest>>,
): Promise<(image: KdumpImage) => readonly Change[]> {
  const devices = await devicesOfGuest(session, context);
  return (image) => changesToGuest(image, session.ram, devices).flatMap(({ changes }) => changes);
}
