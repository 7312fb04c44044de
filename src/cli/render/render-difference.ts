import { printable } from '../../errors.js';
import { crashMemoryOf } from '../../description/crash-memory.js';
import type { Cpu } from '../../arch/cpu-cloning.js';
import type { ImageDifference } from '../../check/diff.js';
import type { KdumpImage } from '../../image/image.js';
import { formatRange, sizeOf, type Range } from '../../memory/range.js';
import { totalSize } from '../../memory/range-set.js';
import { formatSize } from '../../text/numbers.js';
import { cpuList } from './render-inspect.js';
import { idList } from './table.js';
import type { Theme } from './theme.js';

/** What comes, what goes and what changes, a line each: memory ranges and CPUs with their threads. */
export function differenceLines(difference: Omit<ImageDifference, 'otherSegments'>, theme: Theme): string[] {
  const { memory, cpus, sameElfcorehdr, sameFdt } = difference;
  const range = (each: Range): string => `memory ${formatRange(each)} (${formatSize(sizeOf(each))})`;
  const lines = [
    ...memory.added.map((each) => theme.added(`+ ${range(each)}`)),
    ...cpus.added.map((each) => theme.added(`+ ${cpu(each)}`)),
    ...memory.removed.map((each) => theme.removed(`- ${range(each)}`)),
    ...cpus.removed.map((each) => theme.removed(`- ${cpu(each)}`)),
    ...cpus.changed.map(({ id, name, properties }) => `~ CPU ${id} (${printable(name)}): ${properties.map(printable).join(', ')}`),
  ];
  if (!sameElfcorehdr && memory.added.length + memory.removed.length === 0)
    lines.push('~ elfcorehdr: the same memory, in other program headers');
  if (!sameFdt && cpus.added.length + cpus.removed.length + cpus.changed.length === 0) lines.push('~ fdt: the same CPUs, other contents');
  return lines;
}

function cpu({ id, node, threads }: Cpu): string {
  return `CPU ${id} (${printable(node.name)})${threads.length > 1 ? ` with threads ${idList(threads)}` : ''}`;
}

/** How much there was before and is after, in rows of a table. */
export function totalRows(before: KdumpImage, after: KdumpImage): (readonly [string, string])[] {
  const memory = (image: KdumpImage): string => formatSize(totalSize(crashMemoryOf(image).ranges.map(({ range }) => range)));
  return [
    ['Memory in the dump', change(memory(before), memory(after))],
    ...(after.fdt === null ? [] : [['CPUs in the FDT', change(cpuList(before), cpuList(after))] as const]),
  ];
}

function change(before: string, after: string): string {
  return before === after ? `${after}, as before` : `${before} -> ${after}`;
}
