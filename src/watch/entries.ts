import { coreIds } from '../description/cpus.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { knownCpus } from '../description/capacity.js';
import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { RangeList } from '../memory/range-list.js';
import { merged, subtract } from '../memory/range-set.js';
import { formatRange } from '../memory/range.js';

/** One change of one event of a burst. */
export interface Entry {
  /** Place of its event in the burst. */
  readonly event: number;
  readonly change: Change;
  readonly isBlock: boolean;
  /** Why it is not made; undefined while it is to be planned. */
  skipped?: string;
}

/**
 * Marks the changes of a burst that another one overtakes: of several that add and remove the same memory or core the last one counts, and of those
 * that say the same the first.
 *
 * @param nameOf what to call an event
 */
export function skipOvertaken(entries: readonly Entry[], image: KdumpImage, nameOf: (event: number) => string): void {
  const coreOf = coreIds(knownCpus(image), image.architecture);
  const keyOf = (change: Change): string => ('memory' in change ? formatRange(change.memory) : `CPU ${coreOf(change.cpu.id)}`);
  const last = new Map<string, Entry>();
  for (const entry of entries) {
    const key = keyOf(entry.change);
    const before = last.get(key);
    if (before !== undefined) {
      if (before.change.action !== entry.change.action) {
        for (const each of entries) {
          if (each === entry) break;
          if (keyOf(each.change) === key) each.skipped = `overtaken by ${nameOf(entry.event)}`;
        }
      } else if (!saysMore(entry.change)) {
        entry.skipped = `${nameOf(before.event)} says the same`;
        continue;
      }
    }
    last.set(key, entry);
  }
}

function saysMore(change: Change): boolean {
  return 'cpu' in change && (change.cpu.properties !== undefined || change.cpu.crashNotes !== undefined);
}

/** Marks the changes that `image` has already, each seen after those before it. */
export function skipMade(entries: readonly Entry[], image: KdumpImage): void {
  const listed = new RangeList(merged(crashMemoryOf(image).ranges.map(({ range }) => range)));
  const { crashKernelRanges, architecture } = image;
  const elsewhere = [...crashKernelRanges, ...(architecture.unlisted === undefined ? [] : [architecture.unlisted])];
  const known = knownCpus(image);
  const coreOf = coreIds(known, architecture);
  const cores = new Set(known.map(({ id }) => id));
  for (const entry of entries) {
    if (entry.skipped !== undefined) continue;
    const { change } = entry;
    if ('cpu' in change) {
      if (change.action === 'add') cores.add(coreOf(change.cpu.id));
      else if (image.fdt !== null && !cores.has(coreOf(change.cpu.id))) entry.skipped = 'it is not in the FDT';
      continue;
    }
    const { memory, action } = change;
    if (action === 'remove') {
      if (listed.overlapping(memory) === undefined) entry.skipped = 'it is not listed';
      else listed.remove(memory);
      continue;
    }
    if (listed.covers(memory)) entry.skipped = 'it is listed already';
    else if (entry.isBlock && subtract([memory], [...listed.toArray(), ...elsewhere]).length === 0)
      entry.skipped = 'it is listed already, but for what the dump leaves out';
    else if (listed.overlapping(memory) === undefined) listed.add(memory);
  }
}
