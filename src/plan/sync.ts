import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { compareCpuNodes } from '../check/compare-cpus.js';
import { compareState, leftOutDeviceMemory, missingResources, type StateDifference } from '../check/compare-state.js';
import type { MachineState } from '../machine/machine-state.js';
import type { PlanOptions } from './plan.js';

/**
 * The changes that bring an image to a machine's state. CPUs are brought there all at once by one that is added, from the live tree; where cores
 * only went, they are removed one by one, so plan these with `pruneCpus`.
 *
 * @param force adds memory of devices too; plan it with `force`
 */
export function changesToState(
  image: KdumpImage,
  state: MachineState,
  { force = false }: { force?: boolean | undefined } = {},
): { changes: Change[]; difference: StateDifference } {
  const difference = compareState(image, state);
  const { extraMemory, missingNotes } = difference;
  const missingMemory =
    state.iomem === undefined ? [] : [...missingResources(image, state), ...(force ? leftOutDeviceMemory(image, state) : [])];
  return {
    difference,
    changes: [
      ...(extraMemory ?? []).map((memory): Change => ({ action: 'remove', memory })),
      ...missingMemory.map((memory): Change => ({ action: 'add', memory })),
      ...(image.fdt === null
        ? (missingNotes ?? []).map(({ cpu, ...crashNotes }): Change => ({ action: 'add', cpu: { id: cpu, crashNotes } }))
        : cpuChanges(image, state)),
    ],
  };
}

/** How the changes to a state are planned: it is what is there now, so nodes of CPUs that are gone go. */
export function optionsToState({ deviceTree, iomem, memoryNodes }: MachineState): PlanOptions {
  return { pruneCpus: true, deviceTree, iomem, memoryNodes };
}

/** A change for each core. One of which only some threads went is among those that changed. */
function cpuChanges(image: KdumpImage, { deviceTree }: MachineState): Change[] {
  if (deviceTree === undefined || image.fdt === null) return [];
  const { missingCores, extraCores, changedCpus } = compareCpuNodes(image, deviceTree);
  const gone = extraCores.filter(({ isWhole }) => isWhole).map(({ id }) => id);
  const added = missingCores.length > 0 ? missingCores.map(({ id }) => id) : changedCpus;
  return [...added.map((id): Change => ({ action: 'add', cpu: { id } })), ...gone.map((id): Change => ({ action: 'remove', cpu: { id } }))];
}
