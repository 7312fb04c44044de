import { KdumpError } from '../errors.js';
import type { Change } from '../machine/change.js';
import type { Plan } from './plan.js';

/** Changes that are made together or not at all. */
export interface Unit {
  readonly changes: readonly Change[];
}

/** Finds the units that can be made, with few attempts where few cannot. */
export class PossibleUnits<U extends Unit> {
  readonly accepted: U[] = [];
  readonly refused = new Map<U, KdumpError>();
  /** Of all that is accepted. */
  plan: Plan;

  /**
   * @param piecesOf what to try instead of a unit that cannot be made
   * @throws KdumpError when not even no change can be planned; `io`
   */
  constructor(
    private readonly planChanges: (changes: readonly Change[]) => Plan,
    private readonly piecesOf: (unit: U) => readonly U[] = () => [],
  ) {
    this.plan = planChanges([]);
  }

  /** Decides on `units`, in their order. @param most how many may be refused; those that come after them are not tried any more */
  settle(units: readonly U[], most = Infinity): void {
    if (units.length === 0) return;
    const [only] = units;
    const wanted = [...this.accepted, ...units];
    const plan = this.refused.size < most ? attempt(() => this.planChanges(wanted.flatMap(({ changes }) => changes))) : tooMany(most);
    if (!(plan instanceof KdumpError)) {
      this.plan = plan;
      this.accepted.push(...units);
    } else if (this.refused.size >= most) for (const unit of units) this.refused.set(unit, plan);
    else if (units.length > 1) {
      const middle = units.length >>> 1;
      this.settle(units.slice(0, middle), most);
      this.settle(units.slice(middle), most);
    } else if (only !== undefined) {
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
