import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import type { InputFile } from '../file/input-file.js';
import { readExpected } from '../file/known-files.js';
import type { KdumpImage } from '../image/image.js';
import { MAX_KEXEC_LOG, parseKexecLog } from '../kexec/kexec-log.js';
import { openImage, readImage, type OpenImageOptions } from '../image/open.js';
import { machineCrashKernel, type MachineCrashKernel } from '../machine/crash-kernel.js';
import type { MachineState } from '../machine/machine-state.js';
import { readDeviceTree, readIomem } from '../machine/read-machine-state.js';
import { containsAddress, formatRange } from '../memory/range.js';
import { openForPatching } from '../patch/open-for-patching.js';
import type { Context } from './command.js';
import type { Console } from './console.js';
import { KCORE, aroundKcore } from './kcore.js';
import type { ImageOptions } from './options/image-options.js';
import { searching } from './progress-of.js';

/** Opens the image that the options describe. */
export function openImageFrom(context: OpeningContext, path: string, options: ImageOptions): KdumpImage {
  return aroundKcore(
    context.fileSystem,
    path,
    () => opened(context, path, options, (open) => ({ image: openImage(context.fileSystem, path, open) })).image,
  );
}

/** The image in an open copy of the file of that path, which is where its errors are. */
export function openCopyFrom(context: OpeningContext, file: InputFile, options: ImageOptions): KdumpImage {
  return opened(context, file.path, options, (open) => ({ image: readImage(file, open) })).image;
}

/** Opens it for patching. @throws KdumpError `refused` for /proc/kcore */
export function openForPatchingFrom(
  context: OpeningContext,
  path: string,
  options: ImageOptions,
  use: { live?: boolean | undefined },
): ReturnType<typeof openForPatching> {
  refuseKcore(path);
  return opened(context, path, options, (open) => openForPatching(context.fileSystem, path, open, use));
}

/** @throws KdumpError `refused` for /proc/kcore */
export function refuseKcore(path: string): void {
  if (path !== KCORE) return;
  throw new KdumpError('refused', 'it can only be read', {
    file: path,
    remedy: 'capture the image and patch that, or let the kernel update it (kexec --hotplug)',
  });
}

/** What opening takes of a context. */
interface OpeningContext extends Pick<Context, 'fileSystem' | 'progress'> {
  readonly console: Pick<Console, 'note' | 'detail'>;
}

function opened<T extends { readonly image: KdumpImage }>(
  { fileSystem, console, progress }: OpeningContext,
  path: string,
  options: ImageOptions,
  open: (options: OpenImageOptions) => T,
): T {
  const place = placeOf(fileSystem, path, options);
  const openOptions = openOptionsAt(fileSystem, path, options, place);
  const likely = openOptions.crashKernel ?? openOptions.crashKernelRanges?.at(-1);
  const result = progress.during(searching(fileSystem, path, likely), () => open(openOptions));
  if (result.image.isInterrupted === true) console.note(`a patch of ${printable(path)} was interrupted; this is what recover makes of it`);
  const isSearched =
    result.image.format !== 'packed' && result.image.kernel === null && options.kexecLog === undefined && options.crashKernel === undefined;
  if (isSearched && place !== null) sayWhere(console, result.image, place);
  else if (isSearched && options.machine?.iomem !== undefined) {
    console.detail('all memory was searched: the memory map names no crashkernel range; --device-tree does on ppc64');
  }
  return result;
}

/** What the options say of how the image at `path` is opened. */
export function openOptions(fileSystem: FileSystem, path: string, options: ImageOptions): OpenImageOptions {
  return openOptionsAt(fileSystem, path, options, placeOf(fileSystem, path, options));
}

function openOptionsAt(fileSystem: FileSystem, path: string, options: ImageOptions, place: Place | null): OpenImageOptions {
  const { format, base, map, kexecLog } = options;
  // All of /proc/kcore is this machine's memory: what is not in its crashkernel range is not loaded.
  const crashKernel = options.crashKernel ?? (path === KCORE ? place?.ranges.at(-1) : undefined);
  return {
    ...(format === undefined ? {} : { format }),
    ...(base === undefined ? {} : { base }),
    ...(map === undefined ? {} : { map }),
    ...(crashKernel === undefined ? {} : { crashKernel }),
    ...(place === null ? {} : { crashKernelRanges: place.ranges }),
    // Whether this machine has an image loaded its sysfs says.
    ...(path === KCORE ? { asksKernel: false } : {}),
    ...(kexecLog === undefined ? {} : { segmentTable: readKexecLog(fileSystem, kexecLog) }),
  };
}

const IOMEM = '/proc/iomem';
const DEVICE_TREE = '/proc/device-tree';

/** Where the machine has its crashkernel ranges. */
interface Place extends MachineCrashKernel {
  /** Whether this program looked for it, where nothing that it was given says it. */
  readonly isLookedUp: boolean;
}

/** @throws KdumpError `input` for /proc/kcore when this machine has no crashkernel range, or does not tell where */
function placeOf(fileSystem: FileSystem, path: string, { machine = {}, crashKernel }: ImageOptions): Place | null {
  const told = machineCrashKernel(machine);
  if (told !== null) return { ...told, isLookedUp: false };
  return path === KCORE && crashKernel === undefined ? livePlace(fileSystem, machine) : null;
}

/** The place as this machine tells it. On ppc64 /proc/iomem never does: there it is in the device tree, which other machines may lack. */
function livePlace(fileSystem: FileSystem, given: MachineState): Place {
  const named = machineCrashKernel({ iomem: given.iomem ?? readIomem(fileSystem, IOMEM) });
  if (named !== null) return { ...named, isLookedUp: false };
  const deviceTree = given.deviceTree ?? (fileSystem.exists(DEVICE_TREE) ? readDeviceTree(fileSystem, DEVICE_TREE, ['chosen']) : undefined);
  const inTree = machineCrashKernel({ deviceTree });
  if (inTree !== null) return { ...inTree, isLookedUp: given.deviceTree === undefined };
  if (deviceTree !== undefined && !deviceTree.root.children.some(({ name }) => name === 'chosen')) {
    throw new KdumpError('input', 'where the crashkernel range of this machine lies is not known', {
      file: KCORE,
      found: `no "Crash kernel" range in ${IOMEM}, no /chosen in ${printable(deviceTree.source ?? 'the device tree')}`,
      remedy: `give --device-tree ${DEVICE_TREE}, or the range with --crash-kernel`,
    });
  }
  throw new KdumpError('input', 'no kdump image is loaded on this machine', {
    file: KCORE,
    found: `no "Crash kernel" range in ${IOMEM}${deviceTree === undefined ? '' : ', no linux,crashkernel-base in /chosen of the device tree'}`,
    expected: 'memory reserved with crashkernel=',
    remedy: 'boot with crashkernel= and load a kdump image',
  });
}

function sayWhere(console: OpeningContext['console'], image: KdumpImage, { ranges, source, isLookedUp }: Place): void {
  const where = ranges.map(formatRange).join(', ');
  const from = source === 'iomem' ? 'the "Crash kernel" of the memory map' : 'linux,crashkernel-base in /chosen of the device tree';
  if (!ranges.some((range) => containsAddress(range, image.elfcorehdr.segment.address))) {
    console.note(`${printable(image.memory.path)}: no kdump image at ${where}, ${from}; it was found in a search of all memory`);
  } else if (isLookedUp) console.note(`crashkernel range ${where}: ${from}, since /proc/iomem has none`);
  else console.detail(`crashkernel range ${where}: ${from}`);
}

function readKexecLog(fileSystem: FileSystem, path: string): ReturnType<typeof parseKexecLog> {
  return readExpected(fileSystem, path, MAX_KEXEC_LOG, 'kexec-log', 'a log of kexec', (bytes) =>
    parseKexecLog(Buffer.from(bytes).toString('latin1')),
  );
}
