import { programHeaderCapacity, tableOf } from '../elf/elfcorehdr.js';
import { nodeSize, newNodeFrom } from '../fdt/edit/edit.js';
import type { KdumpImage } from '../image/image.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { cpusOf } from './cpus.js';

/** How much more fits an image. */
export interface Capacity {
  /** PT_LOADs that the elfcorehdr still has room for. */
  readonly memoryRanges: number;
  /** CPU nodes like the last one that the FDT still has room for; null without an FDT or CPU nodes. */
  readonly cpus: number | null;
}

/** How much more fits `image`. @throws KdumpError `input` when a CPU node of the FDT is damaged */
export function capacityOf(image: KdumpImage): Capacity {
  const { segment, contents } = image.elfcorehdr;
  const memoryRanges = Math.max(0, programHeaderCapacity(segment.memsz) - tableOf(contents).length);
  if (image.fdt === null) return { memoryRanges, cpus: null };
  const last = knownCpus(image).at(-1);
  const free = fdtFreeSize(image.fdt);
  return { memoryRanges, cpus: last === undefined ? null : Math.floor(free / nodeSize(newNodeFrom(last.node))) };
}

/** Bytes that the FDT can still grow by: what is free inside totalsize, and what its segment has behind that. */
export function fdtFreeSize({ segment, tree }: NonNullable<KdumpImage['fdt']>): number {
  return Math.max(tree.header.totalSize, Number(segment.memsz)) - tree.usedSize;
}

/** The CPUs of the FDT; none where it has no /cpus. */
export function knownCpus(image: KdumpImage): Cpu[] {
  return image.fdt?.tree.node('/cpus') === undefined ? [] : cpusOf(image.fdt.tree, image.architecture);
}
