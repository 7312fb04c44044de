import { KdumpError, hex } from '../../errors.js';
import { formatRange, type Range } from '../../memory/range.js';
import { imageOfElfcorehdr } from './find-by-elfcorehdr.js';
import { imageOfFdt } from './find-by-fdt.js';
import type { FoundImage } from './found-image.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import { checkedSegments } from '../../kexec/segment.js';
import { scanPages, type Candidates } from './scan.js';
import { Search } from './search.js';
import { shiftedImageError, type Guess } from './shifted.js';

const LISTED = 5;

/**
 * The one kdump image in `memory`, from its content alone. Memory holds many device trees and ELF headers, so a candidate counts only when what
 * it says about the others is true.
 *
 * @param isPlaced whether the addresses are certain; else an image that is not where it says is found as well, and an error says where
 * @param candidates of the pages there, where they were looked at before
 * @throws KdumpError `input` when there is none, with the reason for each candidate, or more than one
 */
export function findImage(
  memory: PhysicalMemory,
  crashKernel: Range | undefined,
  isPlaced = true,
  candidates: Candidates = scanPages(memory, crashKernel),
): FoundImage {
  const found: { what: string; image: FoundImage }[] = [];
  const rejected: string[] = [];
  const search = new Search(memory, crashKernel);
  const consider = (what: string, look: () => FoundImage): void => {
    try {
      const image = look();
      checkedSegments(image.segments);
      found.push({ what, image });
    } catch (error) {
      if (!(error instanceof KdumpError) || error.kind !== 'input' || search.isExhausted) throw error;
      rejected.push(`${what}: ${error.problem}${error.details.found === undefined ? '' : ` (${error.details.found})`}`);
    }
    // Which of two is the loaded one is not known, however many more there are.
    if (found.length > 1) throw severalImages(memory.path, found);
  };
  for (const at of candidates.fdts) {
    consider(`device tree at ${hex(at)}`, () => {
      return imageOfFdt(search, at);
    });
  }
  const named = found[0]?.image.segments.find(({ name }) => name === 'elfcorehdr')?.address;
  for (const at of candidates.elfcorehdrs)
    if (at !== named) consider(`elfcorehdr at ${hex(at)}`, () => imageOfElfcorehdr(search, at, crashKernel, candidates));
  const [only] = found;
  if (only === undefined) {
    const shifted = isPlaced
      ? undefined
      : shiftedImageError(new Search(memory, undefined), candidates, (right, guess) => lookShifted(right, guess, candidates));
    if (shifted !== undefined) throw shifted;
    throw new KdumpError('input', 'no kdump image found', {
      file: memory.path,
      found: rejected.length === 0 ? 'neither a device tree nor an ELF core header on any page' : listed(rejected),
      expected: 'an elfcorehdr and what belongs to it',
      remedy: 'give the container with --format, the place with --base or --map, or the segment table with --kexec-log',
    });
  }
  return only.image;
}

/** What names the elfcorehdr at a place that is off as much as all is says the truth. */
function lookShifted(search: Search, { kind, at, shift }: Guess, { bootParameters }: Candidates): FoundImage {
  const agreeing = bootParameters.filter((each) => each.shift === shift).map((each) => ({ ...each, shift: 0n }));
  const image =
    kind === 'fdt' ? imageOfFdt(search, at) : imageOfElfcorehdr(search, at, undefined, { bootParameters: agreeing, vmcoreinfos: [] });
  checkedSegments(image.segments);
  return image;
}

function severalImages(file: string, found: readonly { what: string; image: FoundImage }[]): KdumpError {
  return new KdumpError('input', `at least ${found.length} kdump images found`, {
    file,
    found: found
      .map(({ what, image }) => `${what}${image.crashKernel === null ? '' : ` in crashkernel ${formatRange(image.crashKernel)}`}`)
      .join('; '),
    expected: 'one',
    remedy: 'say which with --crash-kernel or --kexec-log',
  });
}

function listed(items: readonly string[]): string {
  return items.slice(0, LISTED).join('; ') + (items.length > LISTED ? `; and ${items.length - LISTED} more` : '');
}
