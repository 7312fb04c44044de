import { contains, intersection, sizeOf, type Range } from '../../memory/range.js';
import { merged } from '../../memory/range-set.js';
import { placeOf, ratio, scaleFor, sortedByStart, type Scale } from './scale.js';

/** What a range on a map is. Each has its own colour and pattern. */
export const MARK_KINDS = {
  machine: 'System RAM of the machine',
  offline: 'memory that is offline',
  ram: 'RAM in the dump',
  backup: 'backup: low memory, read from the backup segment',
  firmware: 'firmware inside the crashkernel range',
  missing: 'RAM that a dump would miss',
  extra: 'listed, but offline or no RAM of the machine',
  added: 'added',
  removed: 'removed',
  crashkernel: 'crashkernel range',
  description: 'segments that describe the machine',
  segment: 'other segments',
} as const;

export type MarkKind = keyof typeof MARK_KINDS;

/** A range that is to be drawn. */
export interface MapEntry {
  readonly range: Range;
  readonly kind: MarkKind;
  readonly label: string;
  /** Id of the table row that has the same facts. */
  readonly row?: string;
}

/** A strip of the map; what comes later in it lies on top. */
export interface Lane {
  readonly name: string;
  readonly entries: readonly MapEntry[];
}

/** An entry, or several neighbours that are too many to tell apart, at its place. */
export interface Mark extends MapEntry {
  /** Places on the axis, in percent. */
  readonly from: number;
  readonly to: number;
  /** Entries that it stands for. */
  readonly count: number;
  /** Bytes of these entries; less than the range has where there are holes between them. */
  readonly covered: bigint;
}

export interface PlacedLane {
  readonly name: string;
  readonly marks: readonly Mark[];
}

/** A map as data: where everything lies, and nothing of how it looks. */
export interface MemoryMap {
  readonly scale: Scale;
  readonly lanes: readonly PlacedLane[];
}

/** A mark narrower than this many percent cannot be seen at its true width on a page. */
const NARROWEST = 0.4;
/** A lane of more entries has neighbours put together. */
const MOST_ENTRIES = 256;
/** Neighbours that lie within this many percent are put together. */
const TOGETHER = 0.2;

/** @param window draws only this part of the lanes, without cutting holes short */
export function memoryMapOf(lanes: readonly Lane[], window?: Range): MemoryMap {
  const drawn = lanes.flatMap(({ entries }) => entries.map(({ range }) => range));
  const scale = window === undefined ? scaleFor(drawn) : scaleFor([window]);
  return { scale, lanes: lanes.map((lane) => place(scale, lane)) };
}

/** Whether it has to be drawn wider than it is. */
export function isTiny({ from, to }: Mark): boolean {
  return to - from < NARROWEST;
}

export function hasGroups({ lanes }: MemoryMap): boolean {
  return lanes.some(({ marks }) => marks.some(({ count }) => count > 1));
}

/** How much of a mark's range is what it stands for, from 0 to 1. */
export function density({ range, covered, count }: Mark): number {
  return count === 1 ? 1 : ratio(covered, sizeOf(range));
}

function place(scale: Scale, { name, entries }: Lane): PlacedLane {
  const marks = entries.flatMap((entry): Mark[] => {
    const seen = intersection(scale.range, entry.range);
    if (seen === undefined) return [];
    return [{ ...entry, from: placeOf(scale, seen.start), to: placeOf(scale, seen.end), count: 1, covered: sizeOf(entry.range) }];
  });
  return { name, marks: marks.length > MOST_ENTRIES ? grouped(marks) : marks };
}

/** Neighbours of one kind as one mark; the kinds in the order in which they first come. */
function grouped(marks: readonly Mark[]): Mark[] {
  const kinds = [...new Set(marks.map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const groups: Mark[] = [];
    for (const mark of sortedByStart(marks.filter((each) => each.kind === kind))) {
      const last = groups.at(-1);
      if (last === undefined || mark.to - last.from > TOGETHER) groups.push(mark);
      else groups[groups.length - 1] = united(last, mark);
    }
    return groups;
  });
}

function united(one: Mark, other: Mark): Mark {
  const { kind, from } = one;
  const end = one.range.end > other.range.end ? one.range.end : other.range.end;
  return {
    range: { start: one.range.start, end },
    kind,
    label: one.label,
    from,
    to: Math.max(one.to, other.to),
    count: one.count + other.count,
    covered: one.covered + other.covered,
  };
}

/** Most enlarged parts of one map. */
const MOST_WINDOWS = 3;
/** Narrower than this many percent, little is seen of how ranges lie to each other. */
const SMALL = 1.5;
/** Small marks with less than this many percent between them are enlarged together. */
const CLUSTER_GAP = 1.5;
/** A cluster longer than this many percent would hardly be enlarged. */
const LONGEST_CLUSTER = 12;
const IMPORTANT: readonly MarkKind[] = ['missing', 'extra', 'added', 'removed'];

/**
 * The parts of a map that are worth enlarging: where several ranges lie together that are small. One that is alone is not, since
 * nothing would be seen beside it.
 *
 * @param except a part that has a map of its own
 */
export function windowsOf(map: MemoryMap, except?: Range): Range[] {
  if (hasGroups(map)) return [];
  const small = map.lanes.flatMap(({ marks }) =>
    marks.filter((mark) => mark.to - mark.from < SMALL && !(except !== undefined && contains(except, mark.range))),
  );
  const clusters: Mark[][] = [];
  for (const mark of [...small].sort((a, b) => a.from - b.from || a.to - b.to)) {
    const open = clusters.at(-1);
    if (open === undefined || mark.from - Math.max(...open.map(({ to }) => to)) > CLUSTER_GAP) clusters.push([mark]);
    else open.push(mark);
  }
  const isImportant = (cluster: readonly Mark[]): boolean => cluster.some(({ kind }) => IMPORTANT.includes(kind));
  return clusters
    .filter((cluster) => new Set(cluster.map(({ range }) => `${range.start}-${range.end}`)).size > 1)
    .filter((cluster) => Math.max(...cluster.map(({ to }) => to)) - (cluster[0] as Mark).from <= LONGEST_CLUSTER)
    .sort((a, b) => Number(isImportant(b)) - Number(isImportant(a)) || b.length - a.length)
    .slice(0, MOST_WINDOWS)
    .map((cluster) => withMargin(cluster, map.scale.range))
    .sort((a, b) => (a.start < b.start ? -1 : 1));
}

/** The cluster with an eighth of its length on both sides, as far as the map goes. */
function withMargin(cluster: readonly Mark[], limit: Range): Range {
  const all = merged(cluster.map(({ range }) => range));
  const [start, end] = [(all[0] as Range).start, (all.at(-1) as Range).end];
  const margin = (end - start) / 8n;
  const from = start > limit.start + margin ? start - margin : limit.start;
  return { start: from, end: end + margin < limit.end ? end + margin : limit.end };
}
