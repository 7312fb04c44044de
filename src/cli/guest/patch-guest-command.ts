import { KdumpError, printable } from '../../errors.js';
import type { Compared } from '../../check/compare-state.js';
import type { Finding } from '../../check/finding.js';
import { devicesOf, nodesOfDimms, type GuestDevices } from '../../guest/devices.js';
import { planHotplug, type PlanOptions } from '../../plan/plan.js';
import type { KdumpImage } from '../../image/image.js';
import type { Change } from '../../machine/change.js';
import type { Context } from '../command.js';
import { openGuest, patchGuest } from './guest-session.js';
import { planToJson } from '../render/json.js';
import type { ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { outcomeOfPlan } from '../plan-and-apply.js';
import type { WriteOptions } from '../options/write-options.js';
import { renderPlan } from '../render/render-plan.js';

/** What is to be changed in the image of a guest. */
export interface GuestChanges {
  readonly changes: readonly Change[];
  /** Where the image was compared with something: whether all of it was. */
  readonly compared?: Compared;
  readonly findings?: readonly Finding[];
}

export interface GuestWork {
  readonly planOptions: PlanOptions;
  /** What plans the changes, where it is not all or nothing. */
  readonly plan?: typeof planHotplug;
  /** Whether `changesFor` needs to know what QEMU has plugged in. */
  readonly asksDevices: boolean;
  readonly changesFor: (image: KdumpImage, devices: GuestDevices | undefined) => GuestChanges;
}

/** `apply` and `sync` with `--qmp`. */
export async function patchGuestCommand(
  context: Context,
  image: string | undefined,
  options: ImageOptions & WriteOptions & { qmp: string; strict?: boolean },
  { planOptions, plan: planChanges = planHotplug, asksDevices, changesFor }: GuestWork,
): Promise<Outcome> {
  const { console } = context;
  if (options.output !== undefined) {
    throw new KdumpError('usage', '-o writes to a copy, which a guest does not run on', { expected: '--qmp without -o' });
  }
  const session = await openGuest(context, options.qmp, image, options);
  try {
    const devices = asksDevices ? await devicesOf(session.qmp) : undefined;
    let compared: GuestChanges['compared'];
    const { plan, written, pausedMs } = await patchGuest(
      context,
      session,
      (each) => {
        const work = changesFor(each, devices);
        compared = work.compared;
        const memoryNodes = planOptions.memoryNodes ?? (devices && nodesOfDimms(devices));
        const planned = planChanges(each, work.changes, { ...planOptions, memoryNodes });
        return { ...planned, findings: [...planned.findings, ...(work.findings ?? [])] };
      },
      {
        isDryRun: options.dryRun === true,
        live: options.live,
        force: planOptions.force,
        undo: options.saveUndo === undefined ? undefined : { path: options.saveUndo, overwrite: options.overwrite === true },
      },
    );
    const file = session.path;
    console.result(
      () => ({ ...planToJson(plan, file, written > 0, compared), pausedMs }),
      (theme) => renderPlan(plan, file, written > 0, theme) + (written > 0 ? `\nguest paused for ${pausedMs} ms` : ''),
    );
    if (written > 0) console.detail(`${written} bytes written to ${printable(file)} and read back`);
    const isWhole = compared === undefined || (compared.memory && compared.cpus);
    return options.strict === true && !isWhole ? 'differs' : outcomeOfPlan(plan);
  } finally {
    session.qmp.close();
  }
}
