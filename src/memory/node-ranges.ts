import { subtract } from './range-set.js';
import { byStart, type Range } from './range.js';

/** Memory of one NUMA node, by Linux's number of it. */
export interface NodeRange {
  readonly range: Range;
  readonly node: number;
}

/**
 * What several sources say of the nodes of memory, ascending and disjoint: where they say different things the first counts. Neighbours of one
 * node are one.
 *
 * @param sources of each the ranges are disjoint
 */
export function combined(sources: readonly (readonly NodeRange[])[]): NodeRange[] {
  let all: NodeRange[] = [];
  for (const source of sources) {
    const known = all.map(({ range }) => range);
    all = [...all, ...source.flatMap(({ range, node }) => subtract([range], known).map((rest) => ({ range: rest, node })))];
  }
  return joinedNodes(all);
}

/** Ranges in any order, ascending and with those of one node joined that are adjacent or overlap. */
export function joinedNodes(ranges: readonly NodeRange[]): NodeRange[] {
  const result: NodeRange[] = [];
  for (const each of [...ranges].sort((a, b) => byStart(a.range, b.range))) {
    const last = result.at(-1);
    if (last?.node === each.node && each.range.start <= last.range.end) {
      const end = each.range.end > last.range.end ? each.range.end : last.range.end;
      result[result.length - 1] = { node: each.node, range: { start: last.range.start, end } };
    } else result.push(each);
  }
  return result;
}
