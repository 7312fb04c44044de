import { crashMemoryOf } from '../../description/crash-memory.js';
import type { KdumpImage } from '../../image/image.js';
import { segmentRange } from '../../kexec/segment.js';
import { overlaps, sameRange, type Range } from '../../memory/range.js';
import { subtract } from '../../memory/range-set.js';
import { memoryChanges } from '../../check/diff.js';
import type { Lane, MapEntry } from './memory-map.js';
import { memoryWanted, type ReportSubject } from '../subject.js';

/** Ids of the table rows that the maps lead to. */
export const ROWS = {
  memory: (index: number) => `memory-${index}`,
  memoryBefore: (index: number) => `memory-before-${index}`,
  machine: (index: number) => `machine-${index}`,
  offline: (index: number) => `offline-${index}`,
  missing: (index: number) => `missing-${index}`,
  extra: (index: number) => `extra-${index}`,
  added: (index: number) => `added-${index}`,
  removed: (index: number) => `removed-${index}`,
  segment: (index: number) => `segment-${index}`,
  crashKernel: (index: number) => `crashkernel-${index}`,
} as const;

const RANGE_NAMES = { ram: 'RAM', backup: 'backup', firmware: 'firmware' } as const;

/** The lanes of the whole map, from the machine down to the image: what should be in the dump, what was, what changed, what is. */
export function overviewLanes(subject: ReportSubject): Lane[] {
  const { image, check, state, before } = subject;
  return [
    ...(state.iomem === undefined ? [] : [machineLane(subject)]),
    ...(before === undefined ? [] : [{ name: 'In the dump before', entries: dumpEntries(before.image, ROWS.memoryBefore) }]),
    ...changeLane(subject),
    {
      name: before === undefined ? 'In the dump' : 'In the dump now',
      entries: [
        ...dumpEntries(image, ROWS.memory),
        ...entriesOf(check.missingMemory ?? [], 'missing', 'missing', ROWS.missing),
        ...extraEntries(check.extraMemory ?? [], state.offlineMemory ?? []),
      ],
    },
    { name: image.crashKernel === null ? 'Segments' : 'Crashkernel and its segments', entries: segmentEntries(image) },
  ];
}

/** The lanes of the crashkernel range alone: the segments, and what the dump has of it all the same. */
export function crashKernelLanes(subject: ReportSubject): Lane[] {
  const { image } = subject;
  const hull = image.crashKernel;
  const inside = (entries: readonly MapEntry[]): MapEntry[] => entries.filter(({ range }) => hull !== null && overlaps(range, hull));
  const dumped = inside(dumpEntries(image, ROWS.memory));
  const changes = changeLane(subject)
    .map(({ name, entries }) => ({ name, entries: inside(entries) }))
    .filter(({ entries }) => entries.length > 0);
  const segments = segmentEntries(image).filter(({ kind, range }) => kind !== 'crashkernel' || (hull !== null && sameRange(range, hull)));
  return [{ name: 'Segments', entries: segments }, ...changes, ...(dumped.length === 0 ? [] : [{ name: 'In the dump', entries: dumped }])];
}

function machineLane(subject: ReportSubject): Lane {
  return {
    name: 'Memory of the machine',
    entries: [
      ...entriesOf(memoryWanted(subject), 'machine', 'System RAM', ROWS.machine),
      ...entriesOf(subject.state.offlineMemory ?? [], 'offline', 'offline', ROWS.offline),
    ],
  };
}

function changeLane({ image, before }: ReportSubject): Lane[] {
  if (before === undefined) return [];
  const memory = memoryChanges(before.image, image, before.difference.memory);
  if (memory.added.length + memory.removed.length === 0) return [];
  return [
    {
      name: 'Changed',
      entries: [
        ...entriesOf(memory.removed, 'removed', '− removed', ROWS.removed),
        ...entriesOf(memory.added, 'added', '+ added', ROWS.added),
      ],
    },
  ];
}

function dumpEntries(image: KdumpImage, row: (index: number) => string): MapEntry[] {
  return crashMemoryOf(image).ranges.map(({ kind, range }, index) => ({ range, kind, label: RANGE_NAMES[kind], row: row(index) }));
}

function segmentEntries({ segments, crashKernelRanges }: KdumpImage): MapEntry[] {
  return [
    ...entriesOf(crashKernelRanges, 'crashkernel', 'crashkernel', ROWS.crashKernel),
    ...segments.map((segment, index): MapEntry => {
      const kind = segment.name === 'elfcorehdr' || segment.name === 'fdt' ? 'description' : 'segment';
      return { range: segmentRange(segment), kind, label: segment.name, row: ROWS.segment(index) };
    }),
  ];
}

/** What is offline is still there: only the other ranges are no RAM of the machine. */
function extraEntries(extra: readonly Range[], offline: readonly Range[]): MapEntry[] {
  return extra.flatMap((range, index) => {
    const gone = subtract([range], offline);
    const row = (): string => ROWS.extra(index);
    return [...entriesOf(gone, 'extra', 'no RAM of the machine', row), ...entriesOf(subtract([range], gone), 'extra', 'offline', row)];
  });
}

function entriesOf(ranges: readonly Range[], kind: MapEntry['kind'], label: string, row: (index: number) => string): MapEntry[] {
  return ranges.map((range, index) => ({ range, kind, label, row: row(index) }));
}
