// Removes a CPU from an image, and takes that back with an undo file that was saved before.
//
//   node undo.mjs copy.kdump undo-file
import { applyPlan, closeTarget, nodeFileSystem, openForPatching, planHotplug, saveUndo, undoOf, undoPatch } from 'kdump-hotplug';

const [path, undoFile] = process.argv.slice(2);
const { target, image } = openForPatching(nodeFileSystem, path);
try {
  const plan = planHotplug(image, [{ action: 'remove', cpu: { id: 1 } }], { pruneCpus: true });
  // Before the patch, so that there is no moment without a way back. Fails when the file exists.
  saveUndo(nodeFileSystem, undoFile, target, undoOf(plan), false);
  console.log(`${applyPlan(target, plan).written} bytes written`);
  // Any time later, by any process: the image has to hold what the patch wrote.
  console.log(`${undoPatch(target, undoFile)} bytes rolled back`);
} finally {
  closeTarget(target);
}
