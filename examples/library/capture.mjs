// Takes the segments of an image out of memory, such as a guest's RAM file, into a packed image: a few MiB instead of many GiB.
//
//   node capture.mjs guest.ram captured.kdump
import { closeImage, nodeFileSystem, openImage, packImage, segmentSources } from 'kdump-hotplug';

const [memory, output] = process.argv.slice(2);
const image = openImage(nodeFileSystem, memory);
try {
  // How the segments were found, since plain memory has no table of them.
  for (const line of image.provenance) console.log(line);
  const segments = segmentSources(image);
  packImage(nodeFileSystem, output, { architecture: image.architecture, entry: image.entry, segments });
  console.log(`${segments.length} segments packed`);
} finally {
  closeImage(image);
}
