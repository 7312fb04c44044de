import { printable } from '../../errors.js';
import { crashMemoryOf } from '../../description/crash-memory.js';
import type { Cpu } from '../../arch/cpu-cloning.js';
import { memoryChanges, type CpuDifference, type ImageDifference } from '../../check/diff.js';
import type { KdumpImage } from '../../image/image.js';
import { formatRange, sizeOf, type Range } from '../../memory/range.js';
import { totalSize } from '../../memory/range-set.js';
import { formatSize } from '../../text/numbers.js';
import { idList } from '../../text/id-list.js';
import { cpuList } from './render-inspect.js';
import { fold, restLine, wrapped } from './table.js';
import type { Theme } from './theme.js';

/** Lines of each kind on a terminal without --verbose, so that the totals stay on the screen. */
const MOST = 10;

/** What comes, what goes and what changes, a line each: memory ranges and CPUs with their threads. */
export function differenceLines(
  before: KdumpImage,
  after: KdumpImage,
  difference: Omit<ImageDifference, 'otherSegments'>,
  theme: Theme,
): string[] {
  const { cpus, sameElfcorehdr, sameFdt } = difference;
  const memory = memoryChanges(before, after, difference.memory);
  const memoryLines = (sign: '+' | '-', paint: (text: string) => string, ranges: readonly Range[]): string[] => {
    const { shown, rest } = fold(ranges, MOST, theme);
    return [
      ...shown.map((each) => paint(`${sign} memory ${formatRange(each)} (${formatSize(sizeOf(each))})`)),
      ...(rest.length === 0 ? [] : [restLine(`${sign} ${rest.length} more memory ranges, ${formatSize(totalSize(rest))}`, theme)]),
    ];
  };
  const cpuLines = (sign: '+' | '-', paint: (text: string) => string, list: readonly Cpu[]): string[] => {
    const { shown, rest } = fold(list, MOST, theme);
    const ids = idList(rest.flatMap(({ threads }) => threads));
    return [
      ...shown.map((each) => paint(`${sign} ${cpu(each)}`)),
      ...(rest.length === 0 ? [] : [restLine(`${sign} ${rest.length} more CPUs with threads ${ids}`, theme)]),
    ];
  };
  const lines = [
    ...memoryLines('+', theme.added, memory.added),
    ...cpuLines('+', theme.added, cpus.added),
    ...memoryLines('-', theme.removed, memory.removed),
    ...cpuLines('-', theme.removed, cpus.removed),
    ...memory.firmware.map((each) => `~ firmware ${formatRange(each.before)} -> ${formatRange(each.after)}`),
    ...changedLines(cpus.changed, theme),
  ];
  if (!sameElfcorehdr && difference.memory.added.length + difference.memory.removed.length === 0)
    lines.push('~ elfcorehdr: the same memory, in other program headers');
  if (!sameFdt && cpus.added.length + cpus.removed.length + cpus.changed.length === 0) lines.push('~ fdt: the same CPUs, other contents');
  return lines;
}

function changedLines(changed: readonly CpuDifference[], theme: Theme): string[] {
  const { shown, rest } = fold(changed, MOST, theme);
  return [
    ...shown.map(({ id, name, properties }) => wrapped(`~ CPU ${id} (${printable(name)}): ${properties.map(printable).join(', ')}`, theme)),
    ...(rest.length === 0 ? [] : [restLine(`~ ${rest.length} more CPUs: ${idList(rest.map(({ id }) => id))}`, theme)]),
  ];
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
