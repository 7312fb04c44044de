import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { readExpected } from '../image/containers/known-files.js';
import type { KdumpImage } from '../image/image.js';
import { MAX_KEXEC_LOG, parseKexecLog } from '../image/kexec-log.js';
import { openImage, type OpenImageOptions } from '../image/open.js';
import { crashKernelRanges } from '../machine/iomem.js';
import { readIomem } from '../machine/read-machine-state.js';
import { sizeOf, type Range } from '../memory/range.js';
import { openForPatching } from '../patch/open-for-patching.js';
import { KCORE, aroundKcore } from './kcore.js';
import type { ImageOptions } from './options/image-options.js';
import { searching } from './progress-of.js';
import { NO_PROGRESS } from './progress.js';

/** Opens the image that the options describe. */
export function openImageFrom(fileSystem: FileSystem, path: string, options: ImageOptions, progress = NO_PROGRESS): KdumpImage {
  return aroundKcore(fileSystem, path, () => {
    const open = openOptions(fileSystem, path, options);
    return progress.during(searching(fileSystem, path, open.crashKernel), () => openImage(fileSystem, path, open));
  });
}

/** Opens it for patching. @throws KdumpError `refused` for /proc/kcore */
export function openForPatchingFrom(
  fileSystem: FileSystem,
  path: string,
  options: ImageOptions,
  use: { live?: boolean | undefined },
  progress = NO_PROGRESS,
): ReturnType<typeof openForPatching> {
  if (path === KCORE) {
    throw new KdumpError('refused', 'it can only be read', {
      file: path,
      remedy: 'capture the image and patch that, or let the kernel update it (kexec --hotplug)',
    });
  }
  const open = openOptions(fileSystem, path, options);
  return progress.during(searching(fileSystem, path, open.crashKernel), () => openForPatching(fileSystem, path, open, use));
}

/** What the options say of how the image at `path` is opened. */
export function openOptions(fileSystem: FileSystem, path: string, options: ImageOptions): OpenImageOptions {
  const { format, base, map, kexecLog } = options;
  const crashKernel = options.crashKernel ?? liveCrashKernel(fileSystem, path, options.crashKernelFrom);
  return {
    ...(format === undefined ? {} : { format }),
    ...(base === undefined ? {} : { base }),
    ...(map === undefined ? {} : { map }),
    ...(crashKernel === undefined ? {} : { crashKernel }),
    ...(kexecLog === undefined ? {} : { segmentTable: readKexecLog(fileSystem, kexecLog) }),
  };
}

const IOMEM = '/proc/iomem';

/**
 * /proc/kcore is all memory of this machine: the kdump image in it lies where /proc/iomem, or another file given for it, says "Crash kernel".
 *
 * @throws KdumpError `input` when no crashkernel range is reserved
 */
function liveCrashKernel(fileSystem: FileSystem, path: string, iomemCopy: string | undefined): Range | undefined {
  if (path !== KCORE && iomemCopy === undefined) return undefined;
  const iomem = iomemCopy ?? IOMEM;
  const [crashKernel] = [...crashKernelRanges(readIomem(fileSystem, iomem))].sort((a, b) => Number(sizeOf(b) - sizeOf(a)));
  if (crashKernel === undefined) {
    throw new KdumpError('input', 'no kdump image is loaded on this machine', {
      file: path,
      found: `no "Crash kernel" range in ${printable(iomem)}`,
      expected: 'memory reserved with crashkernel=',
      remedy: 'boot with crashkernel= and load a kdump image',
    });
  }
  return crashKernel;
}

function readKexecLog(fileSystem: FileSystem, path: string): ReturnType<typeof parseKexecLog> {
  return readExpected(fileSystem, path, MAX_KEXEC_LOG, 'kexec-log', 'a log of kexec', (bytes) =>
    parseKexecLog(Buffer.from(bytes).toString('latin1')),
  );
}
