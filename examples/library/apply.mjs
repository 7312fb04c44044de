// Adds memory to an image, in place. It is patched whole or not at all, and the same change again does nothing.
//
//   node apply.mjs copy.kdump
import { applyPlan, closeTarget, isNothingToDo, nodeFileSystem, openForPatching, planHotplug, rangeOfSize } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
// The image is locked from here until closeTarget. A patch that was interrupted before is rolled back first.
const { target, image } = openForPatching(nodeFileSystem, path);
try {
  const plan = planHotplug(image, [{ action: 'add', memory: rangeOfSize(0x80000000n, 0x10000000n) }]);
  if (isNothingToDo(plan)) console.log('nothing to do');
  else console.log(`${applyPlan(target, plan).written} bytes written and read back`);
} finally {
  closeTarget(target);
}
