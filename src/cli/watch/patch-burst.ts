import { memoryWanted } from '../../check/crash-kernel.js';
import { KdumpError, printable, within } from '../../errors.js';
import { devicesOf, nodesOfDimms, type GuestDevices } from '../../guest/devices.js';
import { compareGuest, pluggedIn, type GuestDifference } from '../../guest/guest-changes.js';
import { OwnUpdates } from '../../guest/own-updates.js';
import { directoryReader, memoryNodesIn, readDeviceTree, readIomem, readMachineState } from '../../machine/read-machine-state.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import { blockState, readBlockSize } from '../../machine/memory-blocks.js';
import { applyPlan } from '../../patch/apply.js';
import { closeTarget } from '../../patch/target.js';
import { planBurst, reportWithoutImage, type BurstPlan } from '../../watch/plan-burst.js';
import { needsImage, type ResolveContext } from '../../watch/resolve.js';
import type { BurstWrite, EventReport, WatchEvent } from '../../watch/event.js';
import type { Context } from '../command.js';
import type { ImageOptions } from '../options/image-options.js';
import type { WatchOptions } from '../options/watch-options.js';
import { patchGuest, type GuestSession } from '../guest/guest-session.js';
import { openForPatchingFrom, openImageFrom } from '../open-image.js';
import { NO_PROGRESS } from '../progress.js';
import type { EndSignals } from './end-signals.js';

/** What became of a burst. */
export interface PatchedBurst {
  readonly reports: readonly EventReport[];
  /** undefined when nothing was written. */
  readonly write: (BurstWrite & { readonly path: string; readonly bytes: number }) | undefined;
}

/** Writes bursts of events into one image: each opens, locks, plans and patches it anew. */
export interface BurstPatcher {
  readonly path: string;
  /** At the next burst, the image is compared with what the guest has by then. */
  compareGuest(): void;
  /** Whether the image is another one than this patcher left. @throws KdumpError `io` */
  readonly isChangedByOthers: () => boolean;
  /** @throws KdumpError when the image cannot be opened or patched at all */
  patch(events: readonly WatchEvent[]): Promise<PatchedBurst>;
}

interface Patched {
  readonly burst: BurstPlan;
  readonly written: number;
  readonly pausedMs?: number;
}

/** @throws KdumpError when the image cannot be opened */
export function openPatcher(context: Context, image: string | GuestSession, options: WatchOptions, signals: EndSignals): BurstPatcher {
  const { fileSystem, console } = context;
  const guest = typeof image === 'string' ? undefined : image;
  const path = typeof image === 'string' ? image : image.path;
  const imageOptions = guest?.imageOptions ?? options;
  const { compat, pruneCpus, force, memoryBlocks, dryRun = false } = options;
  const reader = directoryReader(fileSystem);
  const blockSize =
    options.memoryBlockSize ??
    (memoryBlocks === undefined ? undefined : within({ file: memoryBlocks }, () => readBlockSize(reader, memoryBlocks)));
  let isWaiting = false;
  /** A guest that restarts has no image for a while. One that is loaded later has what was plugged in by then. */
  const waitForImage = (error: KdumpError): void => {
    if (!isWaiting) console.note(`${printable(path)}: ${error.problem}: nothing is patched until one is`);
    isWaiting = true;
  };
  const atStart = formatAtStart(context, path, imageOptions, waitForImage);
  const isSearched = atStart !== 'packed' && imageOptions.kexecLog === undefined;
  const progress = isSearched ? signals.atOnce : NO_PROGRESS;
  // What is to be said of the place was said.
  const silently = { fileSystem, progress, console: { note: () => undefined, detail: () => undefined } };
  const removedThreads = new Set<number>();
  const ownUpdates = new OwnUpdates();
  /** Devices that the image has, or had until an event took them away: the guest knows better than QEMU whether it uses a device. */
  let settled: ReadonlySet<string> = new Set();
  let seen: readonly GuestDifference[] = [];
  let isGuestNew = false;
  let isPatching = false;
  let isLeftAlone = false;
  /** What was said last of what only the guest knows. */
  let notCompared: readonly string[] = [];
  let writes = 0;

  const differencesOf = (opened: KdumpImage, devices: GuestDevices): GuestDifference[] => {
    if (ownUpdates.areMadeTo(opened, devices)) {
      if (!isLeftAlone) console.note(`${printable(path)}: the guest's kernel keeps its image current by itself, and is left to it`);
      isLeftAlone = true;
      return [];
    }
    isLeftAlone = false;
    const { memory, cpus, findings } = compareGuest(opened, devices);
    for (const { severity, code, message } of findings)
      if (!notCompared.includes(message)) console.note(`${severity}: ${printable(message)} [${code}]`);
    notCompared = findings.map(({ message }) => message);
    return [...memory, ...cpus].filter(({ device }) => device === undefined || !settled.has(device));
  };

  const planFor = (events: readonly WatchEvent[], devices: GuestDevices | undefined) => {
    return (opened: KdumpImage): BurstPlan => {
      const deviceTree = options.deviceTree === undefined ? undefined : readDeviceTree(fileSystem, options.deviceTree);
      const iomem = options.iomem === undefined ? undefined : readIomem(fileSystem, options.iomem);
      const { cpus } = readMachineState(fileSystem, { cpus: options.cpus });
      const resolving: ResolveContext = {
        image: opened,
        memoryWanted: iomem === undefined ? undefined : memoryWanted(opened, { iomem, deviceTree }),
        blockSize,
        blockState: memoryBlocks === undefined ? undefined : (name) => blockState(reader, memoryBlocks, name),
        deviceTree,
        pruneCpus,
        removedThreads,
      };
      seen = devices === undefined ? [] : differencesOf(opened, devices);
      const noticed = seen.map(({ text, changes }): WatchEvent => ({ source: 'qmp', line: undefined, text, changes }));
      const memoryNodes = memoryBlocks === undefined ? devices && nodesOfDimms(devices) : memoryNodesIn(fileSystem, memoryBlocks);
      return planBurst([...noticed, ...events], resolving, { compat, pruneCpus, force, deviceTree, iomem, cpus, memoryNodes });
    };
  };

  const patchGuestFile = async (session: GuestSession, plan: (opened: KdumpImage) => BurstPlan): Promise<Patched> => {
    const bursts: BurstPlan[] = [];
    const planOnce = (opened: KdumpImage): BurstPlan['plan'] => {
      const burst = plan(opened);
      bursts.push(burst);
      return burst.plan;
    };
    const { written, pausedMs } = await patchGuest({ ...context, progress }, session, planOnce, {
      isDryRun: dryRun,
      live: options.live,
      force,
    });
    return { burst: bursts[0] as BurstPlan, written, pausedMs };
  };

  const patchFile = (plan: (opened: KdumpImage) => BurstPlan): Patched => {
    if (dryRun) {
      const opened = openImageFrom(silently, path, imageOptions);
      try {
        return { burst: plan(opened), written: 0 };
      } finally {
        closeImage(opened);
      }
    }
    const { target, image: opened, recovery } = openForPatchingFrom(silently, path, imageOptions, { live: options.live });
    try {
      if (recovery !== 'none') console.note(`a patch that was interrupted before is ${recovery}`);
      const burst = plan(opened);
      return { burst, written: applyPlan(target, burst.plan, { live: options.live, force }).written };
    } finally {
      closeTarget(target);
    }
  };

  return {
    path,
    compareGuest: () => {
      isGuestNew = true;
    },
    isChangedByOthers: () => !dryRun && !isPatching && ownUpdates.isChanged(fileSystem, path),
    async patch(events) {
      const relevant = events.filter(needsImage);
      if (relevant.length === 0 && !isGuestNew) return { reports: events.map(reportWithoutImage), write: undefined };
      const wasNew = isGuestNew;
      isGuestNew = false;
      isPatching = true;
      try {
        const devices = guest === undefined ? undefined : await devicesOf(guest.qmp);
        const plan = planFor(relevant, devices);
        if (isSearched) await signals.settled();
        const { burst, written, pausedMs } = guest === undefined ? patchFile(plan) : await patchGuestFile(guest, plan);
        const { reports } = burst;
        isWaiting = false;
        if (guest !== undefined) ownUpdates.remember(burst.plan, written > 0);
        if (devices !== undefined) settled = settledOf(devices, seen, reports);
        return {
          reports: inOrder(events, dryRun ? reports.map(asPlanned) : reports),
          write: written === 0 ? undefined : { number: (writes += 1), path, bytes: written, pausedMs },
        };
      } catch (error) {
        // A guest that has ended has no devices that an image could lack.
        if (relevant.length === 0 && guest?.qmp.isClosed === true) return { reports: events.map(reportWithoutImage), write: undefined };
        if (isNotLoaded(error)) {
          waitForImage(error);
          return { reports: events.map((event) => reportNotLoaded(event, error)), write: undefined };
        }
        isGuestNew ||= wasNew;
        throw error;
      } finally {
        isPatching = false;
      }
    },
  };
}

/** @returns undefined when no image is loaded, which `onNotLoaded` is told */
function formatAtStart(
  context: Context,
  path: string,
  options: ImageOptions,
  onNotLoaded: (error: KdumpError) => void,
): KdumpImage['format'] | undefined {
  try {
    const image = openImageFrom(context, path, options);
    closeImage(image);
    return image.format;
  } catch (error) {
    if (!isNotLoaded(error)) throw error;
    onNotLoaded(error);
    return undefined;
  }
}

function isNotLoaded(error: unknown): error is KdumpError {
  return error instanceof KdumpError && error.code === 'not-loaded';
}

function reportNotLoaded(event: WatchEvent, { problem }: KdumpError): EventReport {
  return needsImage(event) ? { event, outcome: 'nothing to do', changes: [], reason: problem } : reportWithoutImage(event);
}

/** Devices that need not be brought into the image again; those that were refused are tried again. */
function settledOf(devices: GuestDevices, seen: readonly GuestDifference[], reports: readonly EventReport[]): ReadonlySet<string> {
  const refused = new Set(seen.filter((_, index) => reports[index]?.outcome === 'refused').map(({ device }) => device));
  return new Set(pluggedIn(devices).filter((device) => !refused.has(device)));
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
