import { KdumpError, printable } from '../../errors.js';
import { devicesOf, type GuestDevices } from '../../guest/devices.js';
import { whilePaused } from '../../guest/paused.js';
import { Qmp } from '../../guest/qmp.js';
import { ramFileOf } from '../../guest/ram-file.js';
import { isNothingToDo, type Plan } from '../../plan/plan.js';
import type { KdumpImage } from '../../image/image.js';
import { readImage } from '../../image/open.js';
import { findJournal } from '../../journal/find-journal.js';
import { preparePlan } from '../../patch/apply.js';
import { recover } from '../../patch/recover.js';
import { closeTarget, openTarget, type PatchTarget } from '../../patch/target.js';
import type { Context } from '../command.js';
import { openOptions } from '../open-image.js';
import type { ImageOptions } from '../options/image-options.js';

/** A running guest, and where the memory is that its kdump image lies in. */
export interface GuestSession {
  readonly qmp: Qmp;
  readonly path: string;
  readonly imageOptions: ImageOptions;
  /** Devices of which it was said that QEMU does not know all. */
  readonly told: Set<string>;
}

/**
 * Connects to the guest's monitor. An image that is not named is the file of its RAM, placed in memory as QEMU says unless options do.
 *
 * @throws KdumpError `io`, `refused`
 */
export async function openGuest(
  { console }: Context,
  socket: string,
  image: string | undefined,
  options: ImageOptions,
): Promise<GuestSession> {
  const onWait = (): void => {
    console.note(`${printable(socket)}: waiting for the monitor, which serves one client at a time`);
  };
  const qmp = await Qmp.connect(socket, { onWait });
  try {
    const file = await ramFileOf(qmp).catch((error: unknown) => {
      if (image === undefined || !(error instanceof KdumpError)) throw error;
      return undefined;
    });
    const isPlaced = options.base !== undefined || options.map !== undefined || options.format !== undefined;
    const ownMap =
      file === undefined || isPlaced || (image !== undefined && image !== file.path) ? {} : { format: 'raw' as const, map: file.map };
    return { qmp, path: image ?? file?.path ?? '', imageOptions: { ...options, ...ownMap }, told: new Set() };
  } catch (error) {
    qmp.close();
    throw error;
  }
}

/** What the guest has plugged in. What QEMU cannot tell is said once. */
export async function devicesOfGuest({ qmp, path, told }: GuestSession, { console }: Context): Promise<GuestDevices> {
  const devices = await devicesOf(qmp);
  if (devices.mapped === null && !told.has('')) {
    told.add('');
    console.note(`${printable(path)}: QEMU does not show where the guest has memory: nothing is taken for gone`);
  }
  for (const { id, kind } of devices.unclear) {
    if (told.has(id)) continue;
    told.add(id);
    console.note(
      `${printable(path)}: how much of the ${printable(kind)} device ${printable(id)} is in use only the guest knows: it is left out`,
    );
  }
  return devices;
}

export interface GuestPatch {
  readonly plan: Plan;
  readonly written: number;
  /** How long the guest stood still, in milliseconds. */
  readonly pausedMs: number;
}

/**
 * Plans and patches while the guest runs; it is paused only for the write itself.
 *
 * @param planFor makes the plan; it is not written where `isDryRun`
 * @param beforeWrite what else has to be done before the guest is paused
 * @throws KdumpError as planning and patching do; the guest runs again
 */
export async function patchGuest(
  { fileSystem, console }: Context,
  { qmp, path, imageOptions }: GuestSession,
  planFor: (image: KdumpImage) => Plan,
  { isDryRun = false, beforeWrite }: { isDryRun?: boolean; beforeWrite?: (target: PatchTarget, plan: Plan) => void } = {},
): Promise<GuestPatch> {
  const target = openTarget(fileSystem, path);
  try {
    await takeBackInterrupted(target, qmp, console);
    const plan = planFor(readImage(target.file, openOptions(fileSystem, path, imageOptions)));
    if (isDryRun || isNothingToDo(plan)) return { plan, written: 0, pausedMs: 0 };
    beforeWrite?.(target, plan);
    const prepared = preparePlan(target, plan);
    if (prepared === undefined) return { plan, written: 0, pausedMs: 0 };
    const progress = { isWritten: false };
    try {
      const { pausedMs } = await whilePaused(qmp, () => {
        progress.isWritten = true;
        prepared.write();
      });
      prepared.finish();
      return { plan, written: prepared.size, pausedMs };
    } catch (error) {
      if (!progress.isWritten) prepared.abandon();
      throw error;
    }
  } finally {
    closeTarget(target);
  }
}

async function takeBackInterrupted(target: PatchTarget, qmp: Qmp, console: Context['console']): Promise<void> {
  const { fileSystem, directory, name, status, file } = target;
  const isHot = findJournal(fileSystem, directory, name, status, file.path).state === 'hot';
  const takeBack = (): ReturnType<typeof recover> => recover(target, { live: true, paused: true });
  const recovery = isHot ? (await whilePaused(qmp, takeBack)).result : takeBack();
  if (recovery !== 'none') console.note(`a patch of ${printable(file.path)} was interrupted before; it is ${recovery}`);
}
