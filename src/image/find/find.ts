import { KdumpError, hex } from '../../errors.js';
import { formatRange, type Range } from '../../memory/range.js';
import { imageOfElfcorehdr } from './find-by-elfcorehdr.js';
import { imageOfFdt } from './find-by-fdt.js';
import type { FoundImage } from './found-image.js';
import type { PhysicalMemory } from '../containers/physical-memory.js';
import { statedElfcorehdrSize, statedFdtSize } from '../read-segments.js';
import { checkedSegments } from '../segment.js';
import { scanPages, type Candidates } from './scan.js';
import { shiftedImageError, type Guess } from './shifted.js';

const LISTED = 5;
/** Bytes of candidates looked at in all; memory made of headers would take for ever otherwise. */
const MAX_FDTS = 128 << 20;
const MAX_ELFCOREHDRS = 16 << 20;

/**
 * The one kdump image in `memory`, from its content alone. Memory holds many device trees and ELF headers, so a candidate counts only when what
 * it says about the others is true.
 *
 * @param isPlaced whether the addresses are certain; else an image that is not where it says is found as well, and an error says where
 * @throws KdumpError `input` when there is none, with the reason for each candidate, or more than one
 */
export function findImage(memory: PhysicalMemory, crashKernel: Range | undefined, isPlaced = true): FoundImage {
  const candidates = scanPages(memory, crashKernel);
  const found: { what: string; image: FoundImage }[] = [];
  const rejected: string[] = [];
  const budget = { fdt: MAX_FDTS, elfcorehdr: MAX_ELFCOREHDRS };
  const consider = (kind: keyof typeof budget, at: bigint, size: number, look: () => FoundImage): void => {
    const what = `${kind === 'fdt' ? 'device tree' : kind} at ${hex(at)}`;
    budget[kind] -= size;
    if (budget[kind] < 0) throw tooManyCandidates(memory.path);
    try {
      const image = look();
      checkedSegments(image.segments);
      found.push({ what, image });
    } catch (error) {
      if (!(error instanceof KdumpError) || error.kind !== 'input') throw error;
      rejected.push(`${what}: ${error.problem}${error.details.found === undefined ? '' : ` (${error.details.found})`}`);
    }
  };
  for (const at of candidates.fdts) consider('fdt', at, statedFdtSize(memory, at), () => imageOfFdt(memory, at));
  const named = new Set(found.map(({ image }) => image.segments.find(({ name }) => name === 'elfcorehdr')?.address));
  for (const at of candidates.elfcorehdrs) {
    if (!named.has(at))
      consider('elfcorehdr', at, statedElfcorehdrSize(memory, at), () => imageOfElfcorehdr(memory, at, crashKernel, candidates));
  }
  const [only, ...others] = found;
  if (only === undefined) {
    const shifted = isPlaced ? undefined : shiftedImageError(memory, candidates, (right, guess) => lookShifted(right, guess, candidates));
    if (shifted !== undefined) throw shifted;
    throw new KdumpError('input', 'no kdump image found', {
      file: memory.path,
      found: rejected.length === 0 ? 'neither a device tree nor an ELF core header on any page' : listed(rejected),
      expected: 'an elfcorehdr and what belongs to it',
      remedy: 'give the container with --format, the place with --base or --map, or the segment table with --kexec-log',
    });
  }
  if (others.length > 0) {
    throw new KdumpError('input', `${found.length} kdump images found`, {
      file: memory.path,
      found: listed(
        found.map(({ what, image }) => `${what}${image.crashKernel === null ? '' : ` in crashkernel ${formatRange(image.crashKernel)}`}`),
      ),
      expected: 'one',
      remedy: 'say which with --crash-kernel or --kexec-log',
    });
  }
  return only.image;
}

/** What names the elfcorehdr at a place that is off as much as all is says the truth. */
function lookShifted(memory: PhysicalMemory, { kind, at, shift }: Guess, { bootParameters }: Candidates): FoundImage {
  const agreeing = bootParameters.filter((each) => each.shift === shift).map((each) => ({ ...each, shift: 0n }));
  const image =
    kind === 'fdt' ? imageOfFdt(memory, at) : imageOfElfcorehdr(memory, at, undefined, { bootParameters: agreeing, vmcoreinfos: [] });
  checkedSegments(image.segments);
  return image;
}

function tooManyCandidates(file: string): KdumpError {
  return new KdumpError('input', 'too much of this memory looks like headers of a kdump image', {
    file,
    remedy: 'say where the image is with --crash-kernel or --kexec-log',
  });
}

function listed(items: readonly string[]): string {
  return items.slice(0, LISTED).join('; ') + (items.length > LISTED ? `; and ${items.length - LISTED} more` : '');
}
