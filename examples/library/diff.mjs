// What a dump by one image would have more or less than one by another.
//
//   node diff.mjs before.kdump after.kdump
import { closeImage, diffImages, formatRange, isSame, nodeFileSystem, openImage } from 'kdump-hotplug';

const [before, after] = process.argv.slice(2).map((path) => openImage(nodeFileSystem, path));
try {
  const difference = diffImages(before, after);
  for (const range of difference.memory.removed) console.log(`- memory ${formatRange(range)}`);
  for (const range of difference.memory.added) console.log(`+ memory ${formatRange(range)}`);
  for (const { id } of difference.cpus.removed) console.log(`- CPU ${id}`);
  for (const { id } of difference.cpus.added) console.log(`+ CPU ${id}`);
  for (const { id, properties } of difference.cpus.changed) console.log(`CPU ${id} differs in ${properties.join(', ')}`);
  // True only where every byte in use is the same.
  console.log(isSame(difference) ? 'the same' : 'not the same');
} finally {
  closeImage(before);
  closeImage(after);
}
