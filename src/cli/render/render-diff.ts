import { isSame, type ImageDifference } from '../../check/diff.js';
import type { KdumpImage } from '../../image/image.js';
import { differenceLines, totalRows } from './render-difference.js';
import { described } from './table.js';
import type { Theme } from './theme.js';

/** What `diff` says to people: CPUs and memory ranges, not bytes, and what is the same. */
export function renderDiff(before: KdumpImage, after: KdumpImage, difference: ImageDifference, theme: Theme): string {
  if (isSame(difference)) return 'no difference';
  const { otherSegments } = difference;
  const same = after.segments.map(({ name }) => name).filter((name) => !isDescription(name) && !otherSegments.includes(name));
  return [
    ...differenceLines(before, after, difference, theme),
    ...otherSegments.map((name) => `~ segment ${name}`),
    ...described([...totalRows(before, after), ...(same.length === 0 ? [] : [['The same', same.join(', ')] as const])], theme),
  ].join('\n');
}

function isDescription(name: string): boolean {
  return name === 'elfcorehdr' || name === 'fdt';
}
