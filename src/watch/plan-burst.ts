import { KdumpError } from '../errors.js';
import { planHotplug, type Plan, type PlanOptions } from '../plan/plan.js';
import type { Change } from '../machine/change.js';
import { sizeOf } from '../memory/range.js';
import { skipMade, skipOvertaken, type Entry } from './entries.js';
import type { EventOutcome, EventReport, WatchEvent } from './event.js';
import { resolveEvent, type ResolveContext, type Resolved } from './resolve.js';

/** A burst of events as one patch, and what becomes of each. */
export interface BurstPlan {
  readonly plan: Plan;
  readonly reports: readonly EventReport[];
}

/** Most changes in one burst: more of them would take memory out of proportion to the input. */
const MAX_CHANGES = 1 << 18;

/** Changes that are made together or not at all. */
interface Unit {
  readonly entries: readonly Entry[];
  readonly changes: readonly Change[];
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
    'changes' in each ? each.changes.map((change) => ({ event, change, isBlock: each.isBlock })) : [],
  );
  skipOvertaken(entries, (event) => nameOf(events[event]));
  skipMade(entries, image);

  const planner = new BurstPlanner((changes) => planHotplug(image, changes, options));
  planner.settle(unitsOf(entries.filter(({ skipped }) => skipped === undefined)));
  const { plan, accepted, refused } = planner.result();
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

/** The report of an event for which the image need not be looked at. */
export function reportWithoutImage(event: WatchEvent): EventReport {
  if (event.source !== 'unknown')
    return { event, outcome: 'ignored', changes: [], reason: 'neither a memory block nor a CPU comes or goes' };
  return { event, outcome: outcomeOf(event.error), changes: [], reason: event.error.message };
}

function outcomeOf({ kind }: KdumpError): EventOutcome {
  return kind === 'usage' ? 'malformed' : kind === 'io' ? 'failed' : 'refused';
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
  if (resolved instanceof KdumpError) return report(outcomeOf(resolved), resolved.message);
  if ('outcome' in resolved) return report(resolved.outcome, resolved.reason);
  const error = entries.map((entry) => refused.get(entry)).find((each) => each !== undefined);
  if (error !== undefined) return report('refused', error.message);
  if (entries.some((entry) => effects.get(entry)?.made === true)) return report('applied', resolved.note);
  const [first] = entries;
  return report('nothing to do', first === undefined ? '' : (first.skipped ?? effects.get(first)?.reason ?? ''));
}

/** Finds the units that can be made, with few attempts where few cannot. */
class BurstPlanner {
  private readonly accepted: Unit[] = [];
  private readonly refused = new Map<Entry, KdumpError>();
  private plan: Plan;

  /** @throws KdumpError when not even no change can be planned */
  constructor(private readonly planChanges: (changes: readonly Change[]) => Plan) {
    this.plan = planChanges([]);
  }

  settle(units: readonly Unit[]): void {
    if (units.length === 0) return;
    const wanted = [...this.accepted, ...units];
    const plan = attempt(() => this.planChanges(wanted.flatMap(({ changes }) => changes)));
    if (!(plan instanceof KdumpError)) {
      this.plan = plan;
      this.accepted.push(...units);
      return;
    }
    const [only] = units;
    if (units.length === 1 && only !== undefined) {
      const isJoined = only.entries.length > only.changes.length;
      if (isJoined) this.settle(only.entries.map((entry) => ({ entries: [entry], changes: [entry.change] })));
      else for (const entry of only.entries) this.refused.set(entry, plan);
      return;
    }
    const middle = units.length >>> 1;
    this.settle(units.slice(0, middle));
    this.settle(units.slice(middle));
  }

  result(): { plan: Plan; accepted: readonly Unit[]; refused: ReadonlyMap<Entry, KdumpError> } {
    return { plan: this.plan, accepted: this.accepted, refused: this.refused };
  }
}

/**
 * The changes of an event are one unit. Blocks that come one after another and touch become one range, as they are one resource of the machine:
 * where the elfcorehdr keeps resources apart, blocks would take a program header each.
 */
function unitsOf(entries: readonly Entry[]): Unit[] {
  const units: Unit[] = [];
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

function joinedBlocks(entries: readonly Entry[]): Unit[] {
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

/** What `action` returns or refuses. A failing disk is no refusal. */
function attempt<T>(action: () => T): T | KdumpError {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdumpError && error.kind !== 'io') return error;
    throw error;
  }
}
