import { KdumpError } from '../errors.js';
import { planHotplug, type Plan, type PlanOptions } from '../plan/plan.js';
import { PossibleUnits, attempt, type Unit } from '../plan/possible-units.js';
import { sizeOf } from '../memory/range.js';
import { skipMade, skipOvertaken, type Entry } from './entries.js';
import { failureOf, type EventOutcome, type EventReport, type WatchEvent } from './event.js';
import { isHotplug, resolveEvent, type ResolveContext, type Resolved } from './resolve.js';

/** A burst of events as one patch, and what becomes of each. */
export interface BurstPlan {
  readonly plan: Plan;
  readonly reports: readonly EventReport[];
}

/** Most changes in one burst: more of them would take memory out of proportion to the input. */
const MAX_CHANGES = 1 << 18;

/** The changes of some entries; those of joined blocks are one. */
interface EntryUnit extends Unit {
  readonly entries: readonly Entry[];
}

/**
 * Plans all events that can be made as one patch. One that cannot is reported, and does not keep the others from being made. Writes nothing.
 *
 * @throws KdumpError when the image itself does not let itself be patched; `io`
 */
export function planBurst(events: readonly WatchEvent[], context: ResolveContext, options: PlanOptions): BurstPlan {
  const { image } = context;
  let room = MAX_CHANGES;
  const resolved = events.map((event) =>
    attempt(() => {
      const each = resolveEvent(event, context);
      room -= 'changes' in each ? each.changes.length : 0;
      if (room < 0)
        throw new KdumpError('refused', 'too many changes at once', { expected: `at most ${MAX_CHANGES}`, remedy: 'send them in pieces' });
      return each;
    }),
  );
  const entries = resolved.flatMap((each, event): Entry[] =>
    'changes' in each ? each.changes.map((change) => ({ event, change, isBlock: each.isBlock, isPlugged: each.isPlugged })) : [],
  );
  skipOvertaken(entries, image, (event) => nameOf(events[event]));
  skipMade(entries, image);

  const possible = new PossibleUnits<EntryUnit>((changes) => planHotplug(image, changes, options), blocksOf);
  possible.settle(unitsOf(entries.filter(({ skipped }) => skipped === undefined)));
  const { plan, accepted } = possible;
  const refused = new Map([...possible.refused].flatMap(([unit, error]) => unit.entries.map((entry) => [entry, error] as const)));
  const effects = new Map<Entry, { made: boolean; reason: string }>();
  let at = 0;
  for (const unit of accepted) {
    const own = plan.changes.slice(at, (at += unit.changes.length));
    unit.entries.forEach((entry, index) => {
      const effect = own[own.length === unit.entries.length ? index : 0]?.effect;
      if (effect !== undefined) effects.set(entry, effect);
    });
  }
  const byEvent = new Map<number, Entry[]>();
  for (const entry of entries) {
    const own = byEvent.get(entry.event);
    if (own === undefined) byEvent.set(entry.event, [entry]);
    else own.push(entry);
  }
  const reports = events.map((event, index) => {
    const each = resolved[index] as Resolved | KdumpError;
    return reportOf(event, each, byEvent.get(index) ?? [], effects, refused);
  });
  return { plan, reports };
}

const SYNTHETIC = 'a synthetic event, as udevadm trigger sends: nothing came or went; sync compares the image with the machine';

/** The report of an event for which the image need not be looked at. */
export function reportWithoutImage(event: WatchEvent): EventReport {
  if (event.source === 'udev' && isHotplug(event.udev)) return { event, outcome: 'nothing to do', changes: [], reason: SYNTHETIC };
  if (event.source !== 'unknown')
    return { event, outcome: 'ignored', changes: [], reason: 'neither a memory block nor a CPU comes or goes' };
  return failureOf(event, event.error);
}

function reportOf(
  event: WatchEvent,
  resolved: Resolved | KdumpError,
  entries: readonly Entry[],
  effects: ReadonlyMap<Entry, { made: boolean; reason: string }>,
  refused: ReadonlyMap<Entry, KdumpError>,
): EventReport {
  const changes = entries.map(({ change }) => change);
  const report = (outcome: EventOutcome, reason: string): EventReport => ({ event, outcome, changes, reason });
  if (resolved instanceof KdumpError) return failureOf(event, resolved);
  if ('outcome' in resolved) return report(resolved.outcome, resolved.reason);
  const error = entries.map((entry) => refused.get(entry)).find((each) => each !== undefined);
  if (error !== undefined) return failureOf(event, error, changes);
  // Of a block that was plugged in another event may have said that it came online.
  const note = entries.some(({ isPlugged }) => isPlugged === false) ? '' : resolved.note;
  if (entries.some((entry) => effects.get(entry)?.made === true)) return report('applied', note);
  const [first] = entries;
  return report('nothing to do', first === undefined ? '' : (first.skipped ?? effects.get(first)?.reason ?? ''));
}

/** Joined blocks of which one cannot be made are tried one by one. */
function blocksOf({ entries, changes }: EntryUnit): EntryUnit[] {
  return entries.length > changes.length ? entries.map((entry) => ({ entries: [entry], changes: [entry.change] })) : [];
}

/**
 * The changes of an event are one unit. Adjacent blocks that come one after another become one range, as they are one resource of the machine:
 * where the elfcorehdr keeps resources apart, blocks would take a program header each.
 */
function unitsOf(entries: readonly Entry[]): EntryUnit[] {
  const units: EntryUnit[] = [];
  for (let at = 0; at < entries.length;) {
    const first = entries[at] as Entry;
    const isRun = isAddedBlock(first);
    let end = at + 1;
    for (let next = entries[end]; next !== undefined; next = entries[(end += 1)]) {
      if (isRun ? !isAddedBlock(next) : next.event !== first.event) break;
    }
    const run = entries.slice(at, end);
    units.push(...(isRun ? joinedBlocks(run) : [{ entries: run, changes: run.map(({ change }) => change) }]));
    at = end;
  }
  return units;
}

function isAddedBlock({ isBlock, change }: Entry): boolean {
  return isBlock && change.action === 'add';
}

function joinedBlocks(entries: readonly Entry[]): EntryUnit[] {
  const startOf = ({ change }: Entry): bigint => ('memory' in change ? change.memory.start : 0n);
  const units: { entries: Entry[]; start: bigint; end: bigint }[] = [];
  for (const entry of [...entries].sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1))) {
    if (!('memory' in entry.change)) continue;
    const { start } = entry.change.memory;
    const last = units.at(-1);
    if (last?.end === start) {
      last.entries.push(entry);
      last.end = start + sizeOf(entry.change.memory);
    } else units.push({ entries: [entry], start, end: entry.change.memory.end });
  }
  return units.map((unit) => ({ entries: unit.entries, changes: [{ action: 'add', memory: { start: unit.start, end: unit.end } }] }));
}

function nameOf(event: WatchEvent | undefined): string {
  return event?.line === undefined ? (event?.text ?? '') : `line ${event.line}`;
}
