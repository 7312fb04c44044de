// Writes each segment of an image to a file of its own.
//
//   node extract.mjs before.kdump parts/
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { closeImage, nodeFileSystem, openImage, segmentSources } from 'kdump-hotplug';

const [path, directory] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const image = openImage(nodeFileSystem, path);
try {
  for (const { name, address, size, contents } of segmentSources(image)) {
    const file = join(directory, `${name}-${address.toString(16)}.bin`);
    const descriptor = openSync(file, 'wx');
    // In pieces, each of which is valid until the next is asked for: an initrd need not fit into memory.
    for (const piece of contents()) writeSync(descriptor, piece);
    closeSync(descriptor);
    console.log(`${file}: ${size} bytes`);
  }
} finally {
  closeImage(image);
}
