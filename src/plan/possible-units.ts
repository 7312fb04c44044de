import { KdumpError } from '../errors.js';
import type { Change } from '../machine/change.js';
import { HeaderRoom } from './header-room.js';
import type { Plan } from './plan.js';

/** Changes that are made together or not at all. */
export interface Unit {
  readonly changes: readonly Change[];
}

/** Finds the units that can be made, with few attempts where few cannot. */
export class PossibleUnits<U extends Unit> {
  readonly accepted: U[] = [];
  readonly refused: Map<U, KdumpError> = new Map();
  /** Of all that is accepted. */
  plan: Plan;
  private readonly room: HeaderRoom;

  private readonly planChanges: (changes: readonly Change[]) => Plan;
  private readonly piecesOf: (unit: U) => readonly U[];

  /**
   * @param piecesOf what to try instead of a unit that cannot be made
   * @throws KdumpError when not even no change can be planned; `io`
   */
  constructor(planChanges: (changes: readonly Change[]) => Plan, piecesOf: (unit: U) => readonly U[] = () => []) {
    this.planChanges = planChanges;
    this.piecesOf = piecesOf;
    this.plan = planChanges([]);
    this.room = new HeaderRoom(this.plan.image);
  }

  /** Decides on all units, in their order. @param most how many may be refused; those that come after them are not tried any more */
  settle(all: readonly U[], most: number = Infinity): void {
    const doNotFit = this.room.without(all);
    for (const [unit, error] of doNotFit) this.refused.set(unit, error);
    const units = doNotFit.size === 0 ? all : all.filter((unit) => !doNotFit.has(unit));
    if (units.length === 0) return;
    const [only] = units;
    const wanted = [...this.accepted, ...units];
    const plan = this.refused.size < most ? attempt(() => this.planChanges(wanted.flatMap(({ changes }) => changes))) : tooMany(most);
    if (!(plan instanceof KdumpError)) {
      this.plan = plan;
      for (const unit of units) {
        this.accepted.push(unit);
        this.room.accept(unit.changes);
      }
    } else if (this.refused.size >= most) for (const unit of units) this.refused.set(unit, plan);
    else if (units.length > 1) {
      const middle = units.length >>> 1;
      this.settle(units.slice(0, middle), most);
      this.settle(units.slice(middle), most);
    } else if (only !== undefined) {
      this.room.refuse(only.changes, plan);
      const pieces = this.piecesOf(only);
      if (pieces.length === 0) this.refused.set(only, plan);
      else this.settle(pieces, most);
    }
  }
}

function tooMany(most: number): KdumpError {
  return new KdumpError('refused', 'not tried', { found: `${most} other changes that cannot be made`, remedy: 'reload the kdump image' });
}

/** What `action` returns or refuses. A failing disk is no refusal. */
export function attempt<T>(action: () => T): T | KdumpError {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdumpError && error.kind !== 'io') return error;
    throw error;
  }
}
