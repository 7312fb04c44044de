// Brings an image to the state of its machine, whatever is missing or gone.
//
//   node sync.mjs copy.kdump iomem.txt device-tree/
import {
  applyPlan,
  changesToState,
  closeTarget,
  formatChange,
  nodeFileSystem,
  openForPatching,
  planHotplug,
  readMachineState,
} from 'kdump-hotplug';

const [path, iomem, deviceTree] = process.argv.slice(2);
const state = readMachineState(nodeFileSystem, { iomem, deviceTree });
const { target, image } = openForPatching(nodeFileSystem, path);
try {
  const { changes } = changesToState(image, state);
  for (const change of changes) console.log(formatChange(change));
  // New CPUs take their nodes from the live tree; nodes of CPUs that are gone go.
  const plan = planHotplug(image, changes, { deviceTree: state.deviceTree, pruneCpus: true });
  console.log(`${applyPlan(target, plan).written} bytes written`);
} finally {
  closeTarget(target);
}
