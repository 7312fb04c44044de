import { printable } from '../errors.js';
import { isSame, type ImageDifference } from '../hotplug/diff.js';
import { formatRange, sizeOf, type Range } from '../memory/range.js';
import { formatSize } from '../text/numbers.js';
import type { Theme } from './theme.js';

/** What `diff` says to people: CPUs and memory ranges, not bytes. */
export function renderDiff(difference: ImageDifference, theme: Theme): string {
  if (isSame(difference)) return 'no difference';
  const { memory, cpus, otherSegments, sameElfcorehdr, sameFdt } = difference;
  const range = (each: Range): string => `memory ${formatRange(each)} (${formatSize(sizeOf(each))})`;
  const lines = [
    ...memory.removed.map((each) => theme.removed(`- ${range(each)}`)),
    ...memory.added.map((each) => theme.added(`+ ${range(each)}`)),
    ...cpus.removed.map(({ id, node }) => theme.removed(`- CPU ${id} (${printable(node.name)})`)),
    ...cpus.added.map(({ id, node }) => theme.added(`+ CPU ${id} (${printable(node.name)})`)),
    ...cpus.changed.map(({ id, name, properties }) => `~ CPU ${id} (${printable(name)}): ${properties.map(printable).join(', ')}`),
    ...otherSegments.map((name) => `~ segment ${name}`),
  ];
  if (!sameElfcorehdr && memory.added.length + memory.removed.length === 0)
    lines.push('~ elfcorehdr: the same memory, in other program headers');
  if (!sameFdt && cpus.added.length + cpus.removed.length + cpus.changed.length === 0) lines.push('~ fdt: the same CPUs, other contents');
  return lines.join('\n');
}
