import { within } from '../../errors.js';
import type { GuestDevices } from '../../guest/devices.js';
import { changesToGuest } from '../../guest/guest-changes.js';
import { directoryReader, readDeviceTree } from '../../machine/read-machine-state.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import { blockState, readBlockSize } from '../../machine/memory-blocks.js';
import { DRC_NODES } from '../../machine/events/drc.js';
import { applyPlan } from '../../patch/apply.js';
import { closeTarget } from '../../patch/target.js';
import { planBurst, reportWithoutImage, type BurstPlan } from '../../watch/plan-burst.js';
import { needsImage, type ResolveContext } from '../../watch/resolve.js';
import type { BurstWrite, EventReport, WatchEvent } from '../../watch/event.js';
import type { Context } from '../command.js';
import type { WatchOptions } from '../options/watch-options.js';
import { patchGuest, type GuestSession } from '../guest/guest-session.js';
import { openForPatchingFrom, openImageFrom } from '../open-image.js';

/** What became of a burst. */
export interface PatchedBurst {
  readonly reports: readonly EventReport[];
  /** undefined when nothing was written. */
  readonly write: (BurstWrite & { readonly path: string; readonly bytes: number }) | undefined;
}

/** Writes bursts of events into one image: each opens, locks, plans and patches it anew. */
export interface BurstPatcher {
  readonly path: string;
  /** What the guest has; set, it is compared with the image at the next burst. */
  devices: GuestDevices | undefined;
  /** @throws KdumpError when the image cannot be opened or patched at all */
  patch(events: readonly WatchEvent[]): Promise<PatchedBurst>;
}

interface Patched {
  readonly burst: BurstPlan;
  readonly written: number;
  readonly pausedMs?: number;
}

/** @throws KdumpError when the image cannot be opened */
export function openPatcher(context: Context, image: string | GuestSession, options: WatchOptions): BurstPatcher {
  const { fileSystem, console } = context;
  const guest = typeof image === 'string' ? undefined : image;
  const path = typeof image === 'string' ? image : image.path;
  const imageOptions = guest?.imageOptions ?? options;
  const { compat, pruneCpus, force, memoryBlocks, dryRun = false } = options;
  const reader = directoryReader(fileSystem);
  const blockSize =
    options.memoryBlockSize ??
    (memoryBlocks === undefined ? undefined : within({ file: memoryBlocks }, () => readBlockSize(reader, memoryBlocks)));
  closeImage(openImageFrom(fileSystem, path, imageOptions, context.progress));
  const removedThreads = new Set<number>();
  let writes = 0;

  const planFor = (events: readonly WatchEvent[], devices: GuestDevices | undefined) => {
    return (opened: KdumpImage): BurstPlan => {
      const deviceTree = options.deviceTree === undefined ? undefined : readDeviceTree(fileSystem, options.deviceTree, DRC_NODES);
      const resolving: ResolveContext = {
        image: opened,
        blockSize,
        blockState: memoryBlocks === undefined ? undefined : (name) => blockState(reader, memoryBlocks, name),
        deviceTree,
        pruneCpus,
        removedThreads,
      };
      const seen =
        devices === undefined
          ? []
          : changesToGuest(opened, guest?.ram ?? null, devices).map(({ text, changes }): WatchEvent => ({
              source: 'qmp',
              line: undefined,
              text,
              changes,
            }));
      return planBurst([...seen, ...events], resolving, { compat, pruneCpus, force, deviceTree });
    };
  };

  const patchGuestFile = async (session: GuestSession, plan: (opened: KdumpImage) => BurstPlan): Promise<Patched> => {
    const bursts: BurstPlan[] = [];
    const planOnce = (opened: KdumpImage): BurstPlan['plan'] => {
      const burst = plan(opened);
      bursts.push(burst);
      return burst.plan;
    };
    const { written, pausedMs } = await patchGuest(context, session, planOnce, { isDryRun: dryRun });
    return { burst: bursts[0] as BurstPlan, written, pausedMs };
  };

  const patchFile = (plan: (opened: KdumpImage) => BurstPlan): Patched => {
    if (dryRun) {
      const opened = openImageFrom(fileSystem, path, imageOptions);
      try {
        return { burst: plan(opened), written: 0 };
      } finally {
        closeImage(opened);
      }
    }
    const { target, image: opened, recovery } = openForPatchingFrom(fileSystem, path, imageOptions, { live: options.live });
    try {
      if (recovery !== 'none') console.note(`a patch that was interrupted before is ${recovery}`);
      const burst = plan(opened);
      return { burst, written: applyPlan(target, burst.plan, { live: options.live, force }).written };
    } finally {
      closeTarget(target);
    }
  };

  const patcher: BurstPatcher = {
    path,
    devices: undefined,
    async patch(events) {
      const { devices } = patcher;
      const relevant = events.filter(needsImage);
      if (relevant.length === 0 && devices === undefined) return { reports: events.map(reportWithoutImage), write: undefined };
      const plan = planFor(relevant, devices);
      const { burst, written, pausedMs } = guest === undefined ? patchFile(plan) : await patchGuestFile(guest, plan);
      if (patcher.devices === devices) patcher.devices = undefined;
      const { reports } = burst;
      return {
        reports: inOrder(events, dryRun ? reports.map(asPlanned) : reports),
        write: written === 0 ? undefined : { number: (writes += 1), path, bytes: written, pausedMs },
      };
    },
  };
  return patcher;
}

/** The reports of `events`, those that needed no image among the others; first those of no event of the input. */
function inOrder(events: readonly WatchEvent[], reports: readonly EventReport[]): EventReport[] {
  const byEvent = new Map(reports.map((report) => [report.event, report]));
  return [
    ...reports.filter(({ event, outcome }) => event.source === 'qmp' && outcome !== 'nothing to do'),
    ...events.map((event) => byEvent.get(event) ?? reportWithoutImage(event)),
  ];
}

function asPlanned(report: EventReport): EventReport {
  return report.outcome === 'applied' ? { ...report, outcome: 'planned' } : report;
}
