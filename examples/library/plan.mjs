// What adding memory and a CPU would change in an image, and whether it fits. Nothing is written: the file is opened for reading.
//
//   node plan.mjs before.kdump
import { KdumpError, changedRuns, closeImage, formatChange, nodeFileSystem, openImage, planHotplug, rangeOfSize } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
const image = openImage(nodeFileSystem, path);
try {
  const plan = planHotplug(image, [
    { action: 'add', memory: rangeOfSize(0x80000000n, 0x10000000n) },
    { action: 'add', cpu: { id: 2 } },
  ]);
  for (const { change, effect } of plan.changes) console.log(`${formatChange(change)}: ${effect.made ? 'to be made' : effect.reason}`);
  for (const { node, property, how } of plan.derived) console.log(`${node}/${property}: ${how}`);
  for (const segment of plan.segments) {
    const bytes = changedRuns(segment).reduce((sum, { after }) => sum + after.length, 0);
    console.log(`${segment.name}: ${bytes} bytes would be written`);
  }
  console.log(`the purgatory's digest: ${plan.digest}`);
} catch (error) {
  // `refused`: the change was understood, and contradicts the image or does not fit it.
  if (!(error instanceof KdumpError) || error.kind !== 'refused') throw error;
  console.log(`refused: ${error.problem}; ${error.details.remedy ?? 'no remedy'}`);
} finally {
  closeImage(image);
}
