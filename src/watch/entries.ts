import { coreIds } from '../description/cpus.js';
import { knownCpus } from '../description/capacity.js';
import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { formatRange } from '../memory/range.js';
import { listedMemory } from '../plan/header-room.js';
import { LISTED_BUT_FOR_LEFT_OUT, leftOutOf } from '../plan/plan-memory.js';

/** One change of one event of a burst. */
export interface Entry {
  /** Place of its event in the burst. */
  readonly event: number;
  readonly change: Change;
  readonly isBlock: boolean;
  /** Memory that was plugged in, of which no event says that it came online. */
  isPlugged?: boolean | undefined;
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
  const groups = new Map<string, { entries: Entry[]; last: Entry; overtaking: number }>();
  for (const entry of entries) {
    const key = keyOf(entry.change);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { entries: [entry], last: entry, overtaking: 0 });
      continue;
    }
    const { last } = group;
    if (last.change.action === entry.change.action && !saysMore(entry.change)) {
      entry.skipped = `${nameOf(last.event)} says the same`;
      if (last.isPlugged === true && entry.isPlugged !== true) last.isPlugged = false;
    } else {
      if (last.change.action !== entry.change.action) group.overtaking = group.entries.length;
      group.last = entry;
    }
    group.entries.push(entry);
  }
  for (const { entries: same, overtaking } of groups.values()) {
    for (const each of same.slice(0, overtaking)) each.skipped = `overtaken by ${nameOf((same[overtaking] as Entry).event)}`;
  }
}

function saysMore(change: Change): boolean {
  return 'cpu' in change && (change.cpu.properties !== undefined || change.cpu.crashNotes !== undefined);
}

/**
 * Memory is plugged in and taken online by whole blocks without holes (check_hotplug_memory_range and offline_pages in mm/memory_hotplug.c), so a
 * block that is listed in part was there when the image was loaded: the rest is a hole, or something else that is in no dump.
 */
const LISTED_IN_PART = 'it is listed already, but for a hole: a block that was there from the beginning';

/** Marks the changes that `image` has already, each seen after those before it. */
export function skipMade(entries: readonly Entry[], image: KdumpImage): void {
  const listed = listedMemory(image);
  const leftOut = leftOutOf(image);
  const known = knownCpus(image);
  const coreOf = coreIds(known, image.architecture);
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
    else if (listed.overlapping(memory) === undefined) {
      if (entry.isBlock && listed.covers(memory, leftOut)) entry.skipped = 'the dump leaves it out';
      else listed.add(memory);
    } else if (listed.covers(memory, leftOut)) entry.skipped = LISTED_BUT_FOR_LEFT_OUT;
    else if (entry.isBlock && entry.isPlugged === true) entry.skipped = LISTED_IN_PART;
  }
}
