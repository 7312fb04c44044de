import { basename, dirname } from 'node:path';
import { KdumpError, printable } from '../../errors.js';
import type { FileStatus, FileSystem } from '../../file/file-system.js';
import { notRegular } from '../../file/input-file.js';
import { whilePaused } from '../../guest/paused.js';
import { serversOf, statusAt } from '../../guest/peer.js';
import { Qmp } from '../../guest/qmp.js';
import { ramFileOf } from '../../guest/ram-file.js';
import { isNothingToDo, type Plan } from '../../plan/plan.js';
import type { KdumpImage } from '../../image/image.js';
import { readImage } from '../../image/open.js';
import { findJournal } from '../../journal/find-journal.js';
import { preparePlan } from '../../patch/apply.js';
import { recover } from '../../patch/recover.js';
import { refuseUse, usersOf } from '../../patch/in-use.js';
import { saveUndo, settleUndo, undoOf } from '../../patch/undo.js';
import { closeTarget, openTarget, patchableMemory, type ImageTarget, type PatchTarget } from '../../patch/target.js';
import type { Context } from '../command.js';
import { openOptions } from '../open-image.js';
import type { ImageOptions } from '../options/image-options.js';
import { searching } from '../progress-of.js';

/** A running guest, and where the memory is that its kdump image lies in. */
export interface GuestSession {
  readonly qmp: Qmp;
  readonly path: string;
  readonly imageOptions: ImageOptions;
  /** Nobody named the file but QEMU. */
  readonly isChosenByQemu: boolean;
}

/**
 * Connects to the guest's monitor. An image that is not named is the file of its RAM, placed in memory as QEMU says unless options do.
 *
 * @throws KdumpError `io`, `refused`
 */
export async function openGuest(
  { fileSystem, console }: Context,
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
    if (image === undefined && file !== undefined) refuseForeign(fileSystem, socket, file.path, regularFileAt(fileSystem, file.path));
    const isPlaced = options.base !== undefined || options.map !== undefined || options.format !== undefined;
    const ownMap =
      file === undefined || isPlaced || (image !== undefined && image !== file.path) ? {} : { format: 'raw' as const, map: file.map };
    return {
      qmp,
      path: image ?? file?.path ?? '',
      imageOptions: { ...options, ...ownMap },
      isChosenByQemu: image === undefined,
    };
  } catch (error) {
    qmp.close();
    throw error;
  }
}

/** @throws KdumpError `input` when it is none: opening a device, such as a watchdog, can have effects */
function regularFileAt(fileSystem: FileSystem, path: string): FileStatus {
  const real = fileSystem.realPath(path);
  const status = statusAt(fileSystem, dirname(real), basename(real));
  if (status === undefined) throw new KdumpError('io', 'it went away while it was looked at', { file: path });
  if (status.kind !== 'file') throw notRegular(path, status.kind);
  return status;
}

/**
 * The processes that answer at `socket` and have `file` as their memory. With a file that QEMU alone named there has to be one: else anybody who
 * can make a socket could have another guest's memory patched.
 *
 * @throws KdumpError `refused` when there is none
 */
function refuseForeign(fileSystem: FileSystem, socket: string, path: string, file: FileStatus): void {
  const { mapping, unknown } = usersOf(fileSystem, file);
  const pids = mapping.map(({ pid }) => pid);
  if (serversOf(fileSystem, socket, pids).length > 0) return;
  const others = pids.length === 0 ? 'no process' : `process ${pids.join(', ')}`;
  throw new KdumpError('refused', 'the process behind the monitor is not seen to have the file that it names as its memory', {
    file: socket,
    found: `${printable(path)}, which ${others} maps${unknown === 0 ? '' : `; not looked at, for want of the right: ${unknown}`}`,
    expected: 'a QEMU that names its own RAM file',
    remedy: `${unknown === 0 || process.geteuid?.() === 0 ? '' : 'run as root; or, '}if it is the memory of this guest, name it as the image`,
  });
}

export interface GuestPatchOptions {
  /** Plans, and writes nothing. */
  readonly isDryRun?: boolean;
  /** Processes that map the file are guests that stand still, not only the one behind the monitor. */
  readonly live?: boolean | undefined;
  /** Even where nothing shows that they do. */
  readonly force?: boolean | undefined;
  /** Where what rolls the patch back is saved before. */
  readonly undo?: { readonly path: string; readonly overwrite: boolean } | undefined;
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
 * @param planFor makes the plan
 * @throws KdumpError as planning and patching do; the guest runs again
 */
export async function patchGuest(
  { fileSystem, console, progress }: Context,
  { qmp, path, imageOptions, isChosenByQemu }: GuestSession,
  planFor: (image: KdumpImage) => Plan,
  { isDryRun = false, live = false, force = false, undo }: GuestPatchOptions = {},
): Promise<GuestPatch> {
  const opened = openTarget(fileSystem, path);
  const refuseOthers = (): void => {
    const users = usersOf(fileSystem, opened.status);
    const guest = serversOf(
      fileSystem,
      qmp.path,
      users.mapping.map(({ pid }) => pid),
    );
    // The monitor pauses its own process, which /proc does not show, and no other.
    const others = { ...users, mapping: users.mapping.filter(({ pid }) => !guest.includes(pid)) };
    refuseUse(path, others, live, force);
  };
  try {
    // The path may lead elsewhere by now.
    if (isChosenByQemu) refuseForeign(fileSystem, qmp.path, path, opened.status);
    await rollBackInterrupted(opened, qmp, console, refuseOthers);
    const open = openOptions(fileSystem, path, imageOptions);
    const work = searching(fileSystem, path, open.crashKernel ?? open.crashKernelRanges?.at(-1));
    const image = progress.during(work, () => readImage(opened.file, open));
    const target = { ...opened, memory: patchableMemory(image.memory) };
    const plan = planFor(image);
    if (isDryRun || isNothingToDo(plan)) return { plan, written: 0, pausedMs: 0 };
    refuseOthers();
    if (undo === undefined) return await writeWhilePaused(target, qmp, plan, force);
    const patch = undoOf(plan);
    const saved = saveUndo(fileSystem, undo.path, target, patch, undo.overwrite);
    try {
      const result = await writeWhilePaused(target, qmp, plan, force);
      saved.keep();
      return result;
    } catch (error) {
      settleUndo(target, saved, patch);
      throw error;
    }
  } finally {
    closeTarget(opened);
  }
}

async function writeWhilePaused(target: ImageTarget, qmp: Qmp, plan: Plan, force: boolean): Promise<GuestPatch> {
  const prepared = preparePlan(target, plan, force);
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
}

async function rollBackInterrupted(target: PatchTarget, qmp: Qmp, console: Context['console'], refuseOthers: () => void): Promise<void> {
  const { fileSystem, directory, name, status, file } = target;
  const isHot = findJournal(fileSystem, directory, name, status, file.path).state === 'hot';
  if (isHot) refuseOthers();
  const takeBack = (): ReturnType<typeof recover> => recover(target, { live: true, paused: true });
  const recovery = isHot ? (await whilePaused(qmp, takeBack)).result : takeBack();
  if (recovery !== 'none') console.note(`a patch of ${printable(file.path)} was interrupted before; it is ${recovery}`);
}
