import { hex, printable } from '../errors.js';
import type { KdumpImage } from '../image/image.js';
import { isFileLoaded } from '../image/load-mode.js';
import { isSystemRam, nestedIn, type NestedPiece } from '../machine/iomem.js';
import { firstWhere } from '../memory/first-where.js';
import { ADDRESS_SPACE_END, formatRange, intersection, sizeOf, type Range } from '../memory/range.js';
import { subtract } from '../memory/range-set.js';
import { idList } from '../text/id-list.js';
import { formatSize } from '../text/numbers.js';
import { stateOfKernel } from '../machine/kernel-state.js';
import type { Finding } from './finding.js';
import { kernelFindings, notLoaded } from './kernel-word.js';
import { NO_CORES, compareCpuNodes, type CoreDifference } from './compare-cpus.js';
import { crashKernelOf, otherBoot } from './crash-kernel.js';
import { compareState, comparedWith, isCurrent, leftOutDeviceMemory, missingResources, type StateDifference } from './compare-state.js';
import type { MachineState } from '../machine/machine-state.js';
import { soundFindings } from './sound.js';
import { verifyDigest, type DigestStatus } from './verify-digest.js';

/** What {@link checkImage} found. */
export interface CheckResult extends StateDifference {
  /** Whether the capture kernel would boot and make the dump that the image describes. */
  readonly sound: boolean;
  /** Whether that is the machine's present state: false where something differs, null where nothing does and not everything was compared. */
  readonly current: boolean | null;
  readonly digest: DigestStatus;
  readonly findings: readonly Finding[];
}

/**
 * Whether an image is sound, and whether it matches a machine: the one that is given, and as far as that says nothing, the one that the kernel tells in
 * whose memory the image lies. Reads every segment that the purgatory's digest covers.
 *
 * @throws KdumpError `input` when the image or the state is damaged
 */
export function checkImage(image: KdumpImage, given: MachineState): CheckResult {
  const state = stateOfKernel(image.kernel, given);
  const digest = verifyDigest(image);
  const boot = otherBootFindings(image, state);
  const sound = [
    ...soundFindings(boot.length > 0 ? image : { ...image, crashKernelRanges: crashKernelOf(image, state) }, state.deviceTree),
    ...digestFindings(image, digest),
  ];
  const difference = compareState(image, state);
  return {
    ...difference,
    sound: sound.every(({ severity }) => severity !== 'error'),
    current: boot.length > 0 || notLoaded(image) !== null ? false : isCurrent(difference),
    digest,
    findings: [
      ...sound,
      ...kernelFindings(image, given),
      ...boot,
      ...differenceFindings(image, difference, state),
      ...leftOutFindings(image, state),
      ...comparedFindings(image, state),
    ],
  };
}

/** What `digest` says against an image. */
export function digestFindings(image: KdumpImage, digest: DigestStatus): Finding[] {
  if (digest !== 'mismatch') return [];
  if (image.architecture.filePurgatoryIgnoresDigest === true && isFileLoaded(image)) {
    return [
      {
        severity: 'info',
        code: 'digest-ignored',
        message: "the purgatory's digest does not match, which does no harm: the one that kexec_file_load loads on ppc64 never looks at it",
      },
    ];
  }
  return [
    {
      severity: 'error',
      code: 'digest-mismatch',
      message: "the purgatory's digest does not match: it will reject the image and hang instead of starting the capture kernel",
    },
  ];
}

/** A crashkernel range elsewhere means that the image is of another boot, or another machine. */
function otherBootFindings(image: KdumpImage, state: MachineState): Finding[] {
  const message = otherBoot(image, state);
  return message === null ? [] : [{ severity: 'error', code: 'crashkernel-differs', message }];
}

/**
 * What of the image was not compared with the machine whose state is given, and what would do it: nobody must take "nothing differs" for more than
 * was looked at. None where no state is given.
 */
export function comparedFindings(image: KdumpImage, state: MachineState): Finding[] {
  const { iomem, deviceTree, cpus } = state;
  if (iomem === undefined && deviceTree === undefined && cpus === undefined) return [];
  const option = cpuOption(image);
  const compared = comparedWith(image, state);
  const findings: Finding[] = [];
  if (!compared.memory) {
    findings.push({
      severity: 'warning',
      code: 'memory-not-compared',
      message: 'memory was not compared with the machine: give --iomem, its /proc/iomem',
    });
  }
  if (!compared.cpus) {
    findings.push({
      severity: 'warning',
      code: 'cpus-not-compared',
      message:
        option === '--cpus'
          ? `CPUs were not compared with the machine: give --cpus, its /sys/devices/system/cpu${deviceTree === undefined ? '' : '; this image has no FDT to compare with a device tree'}`
          : `CPUs were not compared with the machine: give --device-tree, its live device tree${cpus === undefined ? '' : '; --cpus has the numbers of Linux, which the FDT does not know'}`,
    });
  }
  return findings;
}

/** The option that has an image's CPUs compared: they are nodes of the FDT, or, without one, notes of the elfcorehdr. */
export function cpuOption({ fdt }: Pick<KdumpImage, 'fdt'>): '--device-tree' | '--cpus' {
  return fdt === null ? '--cpus' : '--device-tree';
}

/** What of the machine's memory a dump by this image leaves out, as it has to. */
export function leftOutFindings(image: KdumpImage, state: MachineState): Finding[] {
  return leftOutDeviceMemory(image, state).map((range) => ({
    severity: 'warning',
    code: 'device-memory-left-out',
    message: `coherent device memory ${described(range)} is not in the dump: its link is down after a crash, and the machine stops when the capture kernel reads it`,
  }));
}

function differenceFindings(image: KdumpImage, difference: StateDifference, state: MachineState): Finding[] {
  const { offlineMemory = [], deviceTree } = state;
  const { missingMemory, extraMemory, changedCpus, missingNotes, unknownNotes } = difference;
  const findings: Finding[] = [];
  const add = (severity: Finding['severity'], code: Finding['code'], message: string): void => {
    findings.push({ severity, code, message });
  };
  const leftOut = missingMemory === null ? [] : leftOutResources(image, state);
  for (const range of missingMemory ?? []) add('error', 'memory-missing', `a dump would miss ${described(range)}${why(range, leftOut)}`);
  // That the crashkernel range is listed is a flaw of the image, and said there.
  const extra = subtract(extraMemory ?? [], crashKernelOf(image, state));
  const gone = subtract(extra, offlineMemory);
  for (const range of gone)
    add('error', 'memory-gone', `${described(range)} is listed, and is no System RAM of the machine: reading it for the dump can fail`);
  for (const range of subtract(extra, gone)) add('warning', 'memory-offline', `${described(range)} is listed and offline`);
  const { missingCores, extraCores } = deviceTree === undefined || image.fdt === null ? NO_CORES : compareCpuNodes(image, deviceTree);
  for (const core of missingCores)
    add('error', 'cpu-missing', `${cpuName(core)} not in the FDT: a crash on ${core.isWhole ? 'it' : 'them'} gives no dump`);
  for (const core of extraCores) add('warning', 'cpu-gone', `${cpuName(core)} in the FDT and not in the device tree of the machine`);
  for (const id of changedCpus ?? []) add('warning', 'cpu-differs', `CPU ${id} has other properties in the FDT than on the machine`);
  for (const { cpu, address, size } of missingNotes ?? [])
    add(
      'error',
      'cpu-note-missing',
      `a dump would lack the registers of CPU ${cpu}: the elfcorehdr does not list its note, ${hex(size)} bytes at ${hex(address)}`,
    );
  for (const range of unknownNotes ?? [])
    add('warning', 'cpu-note-unknown', `the CPU note at ${hex(range.start)} is of no CPU of the machine`);
  return findings;
}

function described(range: Range): string {
  return `${formatRange(range)} (${formatSize(sizeOf(range))})`;
}

/** What is missing inside System RAM because of the resource there, such as `Reserved`: nothing but it was left out. Ascending. */
function leftOutResources(image: KdumpImage, state: MachineState): NestedPiece[] {
  const pieces = nestedIn(state.iomem ?? [], { start: 0n, end: ADDRESS_SPACE_END });
  return missingResources(image, state)
    .map((range) => piecesIn(pieces, range))
    .filter((inside) => !inside.some(({ entry }) => isSystemRam(entry)))
    .flat();
}

/** Those of `pieces`, which are ascending, that lie in `range`, cut to it. */
function piecesIn(pieces: readonly NestedPiece[], range: Range): NestedPiece[] {
  const inside: NestedPiece[] = [];
  for (
    let index = firstWhere(0, pieces.length, (at) => (pieces[at] as NestedPiece).range.end > range.start);
    index < pieces.length;
    index += 1
  ) {
    const piece = pieces[index] as NestedPiece;
    const part = intersection(piece.range, range);
    if (part === undefined) break;
    inside.push({ range: part, entry: piece.entry });
  }
  return inside;
}

/** Most names of resources that are told for one range. */
const MOST_NAMED = 4;

/** `, which holds Reserved`, with where it lies where that is not all of the range, or how many of that name there are. */
function why(missing: Range, leftOut: readonly NestedPiece[]): string {
  const byName = new Map<string, Range[]>();
  for (const { entry, range } of piecesIn(leftOut, missing)) {
    const ranges = byName.get(entry.name);
    if (ranges === undefined) byName.set(entry.name, [range]);
    else ranges.push(range);
  }
  if (byName.size === 0) return '';
  const told = [...byName].slice(0, MOST_NAMED).map(([name, [first, ...others]]) => {
    const isAll = first !== undefined && sizeOf(first) === sizeOf(missing);
    const where = others.length > 0 ? ` (${others.length + 1} ranges)` : isAll || first === undefined ? '' : ` at ${formatRange(first)}`;
    return printable(name) + where;
  });
  return `, which holds ${told.join(', ')}${byName.size > MOST_NAMED ? ` and ${byName.size - MOST_NAMED} other resources` : ''}`;
}

/** A core is told once, with its threads: `CPU 40 (threads 40-47) is`, or `threads 44-47 of CPU 40 are` where the others are on both sides. */
function cpuName({ id, threads, isWhole }: CoreDifference): string {
  if (!isWhole) return `threads ${idList(threads)} of CPU ${id} are`;
  return threads.length === 1 && threads[0] === id ? `CPU ${id} is` : `CPU ${id} (threads ${idList(threads)}) is`;
}
