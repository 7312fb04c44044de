// The library touches files only through the FileSystem that it is given. This one counts what is read and refuses to write.
//
//   node file-system.mjs before.kdump
import { KdumpError, closeImage, nodeFileSystem, openImage, verifyDigest } from 'kdump-hotplug';

let bytesRead = 0;

/** @type {import('kdump-hotplug').FileSystem} */
const watched = {
  ...nodeFileSystem,
  read(descriptor, into, position) {
    const count = nodeFileSystem.read(descriptor, into, position);
    bytesRead += count;
    return count;
  },
  // Every call throws a KdumpError `io`, or does what it says.
  write() {
    throw new KdumpError('io', 'this file system is read only');
  },
};

const [path] = process.argv.slice(2);
const image = openImage(watched, path);
try {
  console.log(`opened: ${bytesRead} of ${image.memory.status.size} bytes read`);
  const digest = verifyDigest(image);
  console.log(`digest: ${digest}; ${bytesRead} bytes read by now`);
} finally {
  closeImage(image);
}
