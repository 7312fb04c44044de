import { KdumpError } from '../errors.js';
import type { Finding } from '../check/finding.js';
import type { KdumpImage } from '../image/image.js';
import { formatChange, type Change } from '../machine/change.js';
import { isNothingToDo, planHotplug, type Plan, type PlanOptions } from './plan.js';
import { PossibleUnits } from './possible-units.js';

/** Most changes that are found impossible one by one: each takes a plan of its own. */
const MOST_REFUSED = 256;

/**
 * Plans as much of `changes` as can be made: what cannot keeps nothing else from being made. Each change of memory is one part; those of CPUs are
 * one together, since the live tree brings all of them at once. What is refused is in the plan with its reason, and a finding names it.
 *
 * @throws KdumpError as {@link planHotplug}; the first refusal where nothing is left to be written
 */
export function planPossible(image: KdumpImage, changes: readonly Change[], options: PlanOptions = {}): Plan {
  const cpus = changes.filter((change) => 'cpu' in change);
  const parts = [
    ...changes.filter((change) => 'memory' in change).map((change) => ({ changes: [change] })),
    ...(cpus.length === 0 ? [] : [{ changes: cpus }]),
  ];
  const possible = new PossibleUnits<(typeof parts)[number]>((some) => planHotplug(image, some, options));
  possible.settle(parts, MOST_REFUSED);
  const { plan, refused } = possible;
  const [first] = refused.values();
  if (first === undefined) return plan;
  if (isNothingToDo(plan)) throw first;
  const left = [...refused].flatMap(([part, error]) =>
    part.changes.map((change) => ({ change, effect: { made: false, isRefused: true, reason: reasonOf(error) } })),
  );
  return {
    ...plan,
    changes: [...plan.changes, ...left],
    findings: [...plan.findings, ...[...refused].map(([part, error]) => refusal(part.changes, reasonOf(error)))],
  };
}

function refusal(changes: readonly Change[], reason: string): Finding {
  const [first] = changes;
  const what = first === undefined ? '' : formatChange(first);
  const more = changes.length > 1 ? ` and ${changes.length - 1} more` : '';
  return { severity: 'error', code: 'change-refused', message: `not made: ${what}${more}: ${reason}` };
}

/** Of one file, which need not be named again. */
export function reasonOf({ kind, problem, details }: KdumpError): string {
  const own = { ...details };
  delete own.file;
  return new KdumpError(kind, problem, own).message;
}
