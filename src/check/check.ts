import { printable } from '../errors.js';
import type { KdumpImage } from '../image/image.js';
import { isFileLoaded } from '../image/load-mode.js';
import { isSystemRam, nestedIn } from '../machine/iomem.js';
import { formatRange, overlaps, sizeOf, type Range } from '../memory/range.js';
import { subtract } from '../memory/range-set.js';
import { formatSize } from '../text/numbers.js';
import type { Finding } from './finding.js';
import { crashKernelOf, otherBoot } from './crash-kernel.js';
import { compareState, isCurrent, type StateDifference } from './compare-state.js';
import type { MachineState } from '../machine/machine-state.js';
import { soundFindings } from './sound.js';
import { verifyDigest, type DigestStatus } from './verify-digest.js';

/** What {@link checkImage} found. Without a state all lists of differences are empty. */
export interface CheckResult extends StateDifference {
  /** Whether the capture kernel would boot and make the dump that the image describes. */
  readonly sound: boolean;
  /** Whether that is the machine's present state; null where no state was given. */
  readonly current: boolean | null;
  readonly digest: DigestStatus;
  readonly findings: readonly Finding[];
}

/**
 * Whether an image is sound, and whether it matches a machine. Reads every segment that the purgatory's digest covers.
 *
 * @throws KdumpError `input` when the image or the state is damaged
 */
export function checkImage(image: KdumpImage, state: MachineState): CheckResult {
  const digest = verifyDigest(image);
  const current = otherBootFindings(image, state);
  const crashKernels = crashKernelOf(image, state);
  const sound = [
    ...soundFindings(current.length > 0 ? image : { ...image, crashKernelRanges: crashKernels }),
    ...digestFindings(image, digest),
  ];
  const given = state.iomem !== undefined || state.deviceTree !== undefined;
  const difference = compareState(image, state);
  return {
    ...difference,
    sound: sound.every(({ severity }) => severity !== 'error'),
    current: given ? isCurrent(difference) && current.length === 0 : null,
    digest,
    findings: [...sound, ...current, ...differenceFindings(difference, state, crashKernels)],
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

function differenceFindings(
  difference: StateDifference,
  { iomem = [], offlineMemory = [] }: MachineState,
  crashKernels: readonly Range[],
): Finding[] {
  const described = (range: Range): string => `${formatRange(range)} (${formatSize(sizeOf(range))})`;
  const findings: Finding[] = [];
  const add = (severity: Finding['severity'], code: string, message: string): void => {
    findings.push({ severity, code, message });
  };
  for (const range of difference.missingMemory) {
    // Resources inside System RAM explain why it was left out, where nothing but them was.
    const pieces = nestedIn(iomem, range);
    if (pieces.some(({ entry }) => isSystemRam(entry))) add('error', 'memory-missing', `a dump would miss ${described(range)}`);
    else
      for (const piece of pieces)
        add('error', 'memory-missing', `a dump would miss ${described(piece.range)}, which holds ${printable(piece.entry.name)}`);
  }
  // That the crashkernel range is listed is a flaw of the image, and said there.
  for (const range of subtract(difference.extraMemory, crashKernels)) {
    if (offlineMemory.some((offline) => overlaps(offline, range)))
      add('warning', 'memory-offline', `${described(range)} is listed and offline`);
    else add('error', 'memory-gone', `${described(range)} is listed and the machine has it no more: reading it for the dump can fail`);
  }
  for (const id of difference.missingCpus) add('error', 'cpu-missing', `CPU ${id} is not in the FDT: a crash on it gives no dump`);
  for (const id of difference.extraCpus) add('warning', 'cpu-gone', `CPU ${id} is in the FDT and the machine has it no more`);
  for (const id of difference.changedCpus) add('warning', 'cpu-differs', `CPU ${id} has other properties in the FDT than on the machine`);
  return findings;
}
