import { KdumpError, within } from '../errors.js';
import type { ByteOrder } from '../bytes/byte-order.js';
import { architectureOf } from '../arch/registry.js';
import type { Architecture } from '../arch/architecture.js';
import type { Fdt } from '../fdt/fdt.js';
import type { FileSystem } from '../file/file-system.js';
import type { InputFile } from '../file/input-file.js';
import { readCommitted } from '../journal/read-committed.js';
import { findRunningKernel, type RunningKernel } from '../kernel/running-kernel.js';
import { containsAddress, formatRange, type Range } from '../memory/range.js';
import { distinct } from '../memory/range-set.js';
import type { Mapping } from '../text/numbers.js';
import { kdumpFdtFacts } from './chosen.js';
import { crashKernelHole } from './crash-kernel-hole.js';
import { findImage } from './find/find.js';
import { scanPages, type Candidates } from './find/scan.js';
import { imageInTable } from './find/find-in-table.js';
import type { FoundImage } from './find/found-image.js';
import type { KdumpImage } from './image.js';
import type { KexecLog } from '../kexec/kexec-log.js';
import type { PhysicalMemory } from '../memory-source/physical-memory.js';
import { CONTAINERS, recogniseFormat, type ImageFormat } from '../container/recognise.js';
import { readDescription } from './read-segments.js';
import { isOfSameBoot } from './same-boot.js';
import { findRegionTable, findRegionTableByShape } from '../kexec/region-table.js';
import { MAX_PURGATORY, checkedSegments, segmentRange, type Segment } from '../kexec/segment.js';

/** How the file is to be understood, where its content does not say it all. Addresses and sizes are bytes of physical memory. */
export interface OpenImageOptions {
  /** Container; recognised from the content without it. */
  format?: ImageFormat;
  /** raw: physical address of file offset 0. */
  base?: bigint;
  /** raw: pieces of the file and where they lie in physical memory, instead of `base`. */
  map?: readonly Mapping[];
  /** Look for segments only here. */
  crashKernel?: Range;
  /**
   * The crashkernel ranges of the machine, ascending, where they are known. Segments are looked for there first. Where the elfcorehdr lies in
   * one, and all that the FDT states are among them, they are the image's; else they are of another boot, and count for nothing.
   */
  crashKernelRanges?: readonly Range[];
  /** The segment table of `kexec -d` or the kernel's log, instead of looking. */
  segmentTable?: KexecLog;
  /** false: the kernel in the memory is not asked which image is loaded; the caller knows. */
  asksKernel?: boolean;
}

/**
 * Opens the kdump image in the file at `path` for reading, in its last committed state: while another process patches it this waits, and what an
 * interrupted patch left half done is read as it was before. Close it with {@link closeImage}.
 *
 * In memory, the kernel that runs there says which image is loaded. Only where it cannot be read, or options say more, the image is found by content.
 *
 * @throws KdumpError `input` when the file holds none, or more than one, or a damaged one, with code `not-loaded` when the kernel in the memory has
 *   none loaded; `usage` when options contradict the container; `io`
 */
export function openImage(fileSystem: FileSystem, path: string, options: OpenImageOptions = {}): KdumpImage {
  return readCommitted(fileSystem, path, (file) => readImage(file, options));
}

/** Closes the file of an image that {@link openImage} opened; `image.memory` cannot be read any more. */
export function closeImage(image: KdumpImage): void {
  image.memory.close();
}

/** The kdump image in an open file. @throws KdumpError as {@link openImage} */
export function readImage(file: InputFile, options: OpenImageOptions): KdumpImage {
  return within({ file: file.path }, () => read(file, options));
}

function read(file: InputFile, options: OpenImageOptions): KdumpImage {
  const { base, map, segmentTable } = options;
  const format = options.format ?? recogniseFormat(file);
  const container = CONTAINERS[format];
  if (container.isPlaced && (base !== undefined || map !== undefined)) {
    throw new KdumpError('usage', '--base and --map are for raw memory', { found: `format ${format}`, expected: 'format raw' });
  }
  if (base !== undefined && map !== undefined) {
    throw new KdumpError('usage', '--base and --map both say where the file lies in memory', {
      expected: 'one of them',
      remedy: '--map has an address for each piece',
    });
  }
  const { memory, table } = container.open(file, { base, map });
  if (table !== undefined) {
    if (segmentTable !== undefined) throw new KdumpError('usage', '--kexec-log is for memory; a packed image has its own segment table');
    const description = readDescription(memory, table.segments);
    const image = { ...table, description, crashKernel: null, isComplete: true, provenance: [] };
    return describe(file, format, memory, image, NOT_ASKED, options);
  }
  // Where all memory may have to be looked through for an image, it is done once.
  const isAnywhere = segmentTable === undefined && options.crashKernel === undefined && options.crashKernelRanges === undefined;
  const candidates = isAnywhere ? scanPages(memory, undefined) : undefined;
  const word = options.asksKernel === false ? NOT_ASKED : askKernel(memory, candidates?.vmcoreinfos);
  return describe(file, format, memory, imageIn(memory, word, candidates, options, container.isPlaced), word, options);
}

type KernelWord = Pick<KdumpImage, 'kernel' | 'kernelUnknown'>;

const NOT_ASKED: KernelWord = { kernel: null, kernelUnknown: null };

function askKernel(memory: PhysicalMemory, notes: readonly bigint[] | undefined): KernelWord {
  try {
    return { kernel: findRunningKernel(memory, notes), kernelUnknown: null };
  } catch (error) {
    if (!(error instanceof KdumpError) || error.kind !== 'input') throw error;
    const { problem, details } = error;
    return { kernel: null, kernelUnknown: details.found === undefined ? problem : `${problem}: ${details.found}` };
  }
}

/** What options say of the place counts most, then the kernel's word, then the content of the memory. */
function imageIn(
  memory: PhysicalMemory,
  { kernel }: KernelWord,
  candidates: Candidates | undefined,
  options: OpenImageOptions,
  isPlaced: boolean,
): FoundImage {
  if (options.segmentTable !== undefined) return imageInTable(memory, options.segmentTable);
  if (kernel === null || options.crashKernel !== undefined) return search(memory, candidates, options, isPlaced);
  const loaded = loadedImage(memory, kernel);
  return imageInTable(memory, { segments: loaded.segments, entry: loaded.entry }, `kexec_crash_image of Linux ${kernel.info.release}`);
}

/** @throws KdumpError `input` with code `not-loaded` */
function loadedImage(memory: PhysicalMemory, { loadedImage: loaded, info }: RunningKernel): NonNullable<RunningKernel['loadedImage']> {
  if (loaded !== null) return loaded;
  throw new KdumpError('input', 'no kdump image is loaded', {
    code: 'not-loaded',
    file: memory.path,
    found: `kexec_crash_image of Linux ${info.release}, which runs in this memory, is null`,
    remedy: 'load one in the guest: start the kdump service, or kexec -p',
  });
}

/** Looks where the machine has its crashkernel range, and only where nothing is there through all memory. */
function search(
  memory: PhysicalMemory,
  candidates: Candidates | undefined,
  { crashKernel, crashKernelRanges = [] }: OpenImageOptions,
  isPlaced: boolean,
): FoundImage {
  // A second range is below the one that holds the segments (reserve_crashkernel_generic() in kernel/crash_reserve.c).
  const likely = crashKernelRanges.at(-1);
  if (crashKernel !== undefined || likely === undefined) return findImage(memory, crashKernel, isPlaced, candidates);
  try {
    return findImage(memory, likely);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.kind !== 'input') throw error;
    const found = findImage(memory, undefined, isPlaced);
    return {
      ...found,
      provenance: [`found in all memory, since the machine's crashkernel range ${formatRange(likely)} holds none`, ...found.provenance],
    };
  }
}

function describe(
  file: InputFile,
  format: ImageFormat,
  memory: PhysicalMemory,
  found: FoundImage,
  word: KernelWord,
  options: OpenImageOptions,
): KdumpImage {
  const segments = checkedSegments(found.segments);
  const segmentAt = (address: bigint): Segment => segments.find((segment) => segment.address === address) as Segment;
  const { contents } = found.description.elfcorehdr;
  const { fields, byteOrder } = contents.header;
  const architecture = within({ segment: 'elfcorehdr' }, () => architectureOf(fields.machine, byteOrder));
  if (architecture !== found.architecture) {
    throw new KdumpError('input', 'the elfcorehdr is of another architecture than the image', {
      segment: 'elfcorehdr',
      found: architecture.name,
      expected: found.architecture.name,
    });
  }
  const elfcorehdr = { segment: segmentAt(found.description.elfcorehdr.address), contents };
  const fdt = found.description.fdt === null ? null : fdtOf(segmentAt(found.description.fdt.address), found.description.fdt.tree);
  const purgatory = segments.find(({ name }) => name === 'purgatory');
  const { crashKernel, crashKernelRanges } = crashKernelsOf(
    found,
    fdt,
    elfcorehdr,
    options.crashKernelRanges ?? word.kernel?.crashKernelRanges ?? [],
  );
  return {
    format,
    architecture,
    memory,
    segments,
    crashKernelRanges,
    crashKernel,
    entry: found.entry,
    pageSize: pageSize(architecture, segments),
    elfcorehdr,
    fdt,
    purgatory: purgatory === undefined ? null : purgatoryOf(memory, purgatory, segments, crashKernel, byteOrder),
    isComplete: found.isComplete,
    ...word,
    provenance: found.provenance,
    isInterrupted: file.isInterrupted,
  };
}

/** What the FDT states counts most, then what the machine says of this image, then what the elfcorehdr leaves out. */
function crashKernelsOf(
  found: FoundImage,
  fdt: KdumpImage['fdt'],
  { segment, contents }: KdumpImage['elfcorehdr'],
  machine: readonly Range[],
): Pick<KdumpImage, 'crashKernel' | 'crashKernelRanges'> {
  const known = isOfSameBoot(machine, segment.address, fdt?.facts) ? machine : [];
  const holding = known.find((range) => containsAddress(range, segment.address));
  const crashKernel = fdt?.facts.crashKernel ?? holding ?? found.crashKernel ?? crashKernelHole(contents, segment.address, []);
  const others = [...(fdt?.facts.crashKernelRanges ?? []), ...known];
  const all = crashKernel === null ? others : [crashKernel, ...others];
  return { crashKernel, crashKernelRanges: distinct(all) };
}

function fdtOf(segment: Segment, tree: Fdt): NonNullable<KdumpImage['fdt']> {
  return { segment, tree, facts: within({ segment: 'fdt' }, () => kdumpFdtFacts(tree)) };
}

function purgatoryOf(
  memory: PhysicalMemory,
  segment: Segment,
  segments: readonly Segment[],
  crashKernel: Range | null,
  order: ByteOrder,
): KdumpImage['purgatory'] {
  if (segment.memsz > MAX_PURGATORY) return { segment, regions: null, hasForeignTable: false };
  const bytes = memory.readOnce(segment.address, Number(segment.memsz));
  const regions = findRegionTable(bytes, segment.address, segments.map(segmentRange), order) ?? null;
  const hasForeignTable =
    regions === null && crashKernel !== null && findRegionTableByShape(bytes, segment.address, crashKernel, [], order) !== undefined;
  return { segment, regions, hasForeignTable };
}

function pageSize(architecture: Architecture, segments: readonly Segment[]): bigint | null {
  const fits = (size: bigint): boolean => segments.every((segment) => segment.address % size === 0n && segment.memsz % size === 0n);
  return architecture.pageSizes.find(fits) ?? null;
}
