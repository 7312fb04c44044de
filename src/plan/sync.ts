import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { compareState, missingResources, type StateDifference } from '../check/compare-state.js';
import type { MachineState } from '../machine/machine-state.js';

/**
 * The changes that bring an image to a machine's state. CPUs are brought there all at once by one that is added, from the live tree; where CPUs
 * only went, they are removed one by one, so plan these with `pruneCpus`.
 */
export function changesToState(image: KdumpImage, state: MachineState): { changes: Change[]; difference: StateDifference } {
  const difference = compareState(image, state);
  const { extraMemory, missingCpus, extraCpus, changedCpus, missingNotes } = difference;
  const missingMemory = state.iomem === undefined ? [] : missingResources(image, state);
  const added = (missingCpus ?? []).length > 0 ? missingCpus : changedCpus;
  return {
    difference,
    changes: [
      ...(extraMemory ?? []).map((memory): Change => ({ action: 'remove', memory })),
      ...missingMemory.map((memory): Change => ({ action: 'add', memory })),
      ...(extraCpus ?? []).map((id): Change => ({ action: 'remove', cpu: { id } })),
      ...(image.fdt === null
        ? (missingNotes ?? []).map(({ cpu, ...crashNotes }): Change => ({ action: 'add', cpu: { id: cpu, crashNotes } }))
        : (added ?? []).map((id): Change => ({ action: 'add', cpu: { id } }))),
    ],
  };
}
