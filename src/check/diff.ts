import { equalBytes } from '../bytes/compare.js';
import type { KdumpImage } from '../image/image.js';
import { segmentRange, type SegmentName } from '../kexec/segment.js';
import { merged, subtract } from '../memory/range-set.js';
import { overlaps, sameRange, type Range } from '../memory/range.js';
import { crashMemoryOf, type CrashMemoryRange } from '../description/crash-memory.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { knownCpus } from '../description/capacity.js';

/** What differs between two images, `added` being in the second only. */
export interface ImageDifference {
  readonly memory: { readonly added: readonly Range[]; readonly removed: readonly Range[] };
  readonly cpus: { readonly added: readonly Cpu[]; readonly removed: readonly Cpu[]; readonly changed: readonly CpuDifference[] };
  /** Names of segments other than elfcorehdr and FDT that differ in place, size or contents, or that one image lacks. */
  readonly otherSegments: readonly SegmentName[];
  /** Whether the elfcorehdr or the FDT differ in any byte that is in use, even where ranges and CPUs are the same. */
  readonly sameElfcorehdr: boolean;
  readonly sameFdt: boolean;
}

/** A CPU whose node is in both images and not the same. */
export interface CpuDifference {
  readonly id: number;
  readonly name: string;
  /** Properties that one has not, or has with another value. */
  readonly properties: readonly string[];
}

/** Compares two images of one architecture in what a dump of them would have. Reads both whole. */
export function diffImages(before: KdumpImage, after: KdumpImage): ImageDifference {
  return { ...diffDescriptions(before, after), otherSegments: differingSegments(before, after) };
}

/** What differs in what elfcorehdr and FDT say. Reads nothing. */
export function diffDescriptions(before: KdumpImage, after: KdumpImage): Omit<ImageDifference, 'otherSegments'> {
  const [memoryBefore, memoryAfter] = [before, after].map((image) => merged(crashMemoryOf(image).ranges.map(({ range }) => range))) as [
    Range[],
    Range[],
  ];
  return {
    memory: { added: subtract(memoryAfter, memoryBefore), removed: subtract(memoryBefore, memoryAfter) },
    cpus: diffCpus(knownCpus(before), knownCpus(after)),
    sameElfcorehdr: sameProgramHeaders(before, after),
    sameFdt: before.fdt === null || after.fdt === null ? before.fdt === after.fdt : sameTree(before.fdt, after.fdt),
  };
}

/** Firmware that both images list, at another place or size: the kernel lists it exactly, kexec-tools in whole pages. */
export interface FirmwareDifference {
  readonly before: Range;
  readonly after: Range;
}

/** Memory that came and went as people mean it: firmware that is listed otherwise is neither, and told apart. */
export function memoryChanges(
  before: KdumpImage,
  after: KdumpImage,
  { added, removed }: ImageDifference['memory'],
): ImageDifference['memory'] & { readonly firmware: readonly FirmwareDifference[] } {
  const [was, is] = [before, after].map((image) => crashMemoryOf(image).ranges.filter(({ kind }) => kind === 'firmware')) as [
    CrashMemoryRange[],
    CrashMemoryRange[],
  ];
  const firmware = was.flatMap(({ range }) =>
    is
      .filter((other) => overlaps(range, other.range) && !sameRange(range, other.range))
      .map((other) => ({ before: range, after: other.range })),
  );
  const told = firmware.flatMap((each) => [each.before, each.after]);
  return { added: subtract(added, told), removed: subtract(removed, told), firmware };
}

/** Whether {@link diffImages} found nothing. */
export function isSame({ memory, cpus, otherSegments, sameElfcorehdr, sameFdt }: ImageDifference): boolean {
  const lists = [memory.added, memory.removed, cpus.added, cpus.removed, cpus.changed, otherSegments];
  return sameElfcorehdr && sameFdt && lists.every((list) => list.length === 0);
}

function diffCpus(before: readonly Cpu[], after: readonly Cpu[]): ImageDifference['cpus'] {
  const was = new Map(before.map((cpu) => [cpu.node.name, cpu]));
  const is = new Map(after.map((cpu) => [cpu.node.name, cpu]));
  return {
    added: after.filter((cpu) => !was.has(cpu.node.name)),
    removed: before.filter((cpu) => !is.has(cpu.node.name)),
    changed: after.flatMap((cpu) => {
      const old = was.get(cpu.node.name);
      const properties = old === undefined ? [] : differingProperties(old, cpu);
      return properties.length === 0 ? [] : [{ id: cpu.id, name: cpu.node.name, properties }];
    }),
  };
}

function differingProperties(before: Cpu, after: Cpu): string[] {
  const was = new Map(before.node.properties().map(({ name, value }) => [name, value]));
  const is = new Map(after.node.properties().map(({ name, value }) => [name, value]));
  return [...new Set([...was.keys(), ...is.keys()])].filter((name) => {
    const [old, now] = [was.get(name), is.get(name)];
    return old === undefined || now === undefined || !equalBytes(old, now);
  });
}

function sameProgramHeaders(before: KdumpImage, after: KdumpImage): boolean {
  const [a, b] = [before, after].map(({ elfcorehdr }) => elfcorehdr.contents.programHeaders);
  return (
    a !== undefined &&
    a.length === b?.length &&
    a.every((header, index) => {
      const other = b[index];
      return other !== undefined && (Object.keys(header) as (keyof typeof header)[]).every((field) => header[field] === other[field]);
    })
  );
}

function sameTree(before: NonNullable<KdumpImage['fdt']>, after: NonNullable<KdumpImage['fdt']>): boolean {
  const used = ({ tree }: NonNullable<KdumpImage['fdt']>): Uint8Array => tree.bytes.subarray(0, tree.usedSize);
  return equalBytes(used(before), used(after));
}

function differingSegments(before: KdumpImage, after: KdumpImage): SegmentName[] {
  const compared = (image: KdumpImage): KdumpImage['segments'] =>
    image.segments.filter(({ name }) => name !== 'elfcorehdr' && name !== 'fdt');
  const names = new Set<SegmentName>();
  for (const [one, other] of [
    [before, after],
    [after, before],
  ] as const) {
    for (const segment of compared(one)) {
      const match = compared(other).find(({ address, memsz }) => address === segment.address && memsz === segment.memsz);
      if (match === undefined || (one === before && !sameContents(before, after, segmentRange(segment)))) names.add(segment.name);
    }
  }
  return [...names];
}

function sameContents(before: KdumpImage, after: KdumpImage, range: Range): boolean {
  const others = after.memory.chunks(range);
  for (const { bytes } of before.memory.chunks(range)) {
    const other = others.next();
    if (other.done === true || !equalBytes(bytes, other.value.bytes)) return false;
  }
  return true;
}
