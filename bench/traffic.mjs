// What one change reads and writes, counted at the library's file system.
import { library } from './inputs/fixture.mjs';

const { applyPlan, closeTarget, nodeFileSystem, openForPatching, planHotplug } = library;

/** Bytes of the image and its journal; what is read of /proc to see who uses the file is counted apart. */
export function trafficOf(path, options, change) {
  const counts = { read: 0, written: 0, otherRead: 0, writes: 0, syncs: 0 };
  const counting = {
    ...nodeFileSystem,
    read(descriptor, into, position) {
      const count = nodeFileSystem.read(descriptor, into, position);
      counts.read += count;
      return count;
    },
    write(descriptor, bytes, position) {
      counts.written += bytes.length;
      counts.writes += 1;
      nodeFileSystem.write(descriptor, bytes, position);
    },
    sync(descriptor) {
      counts.syncs += 1;
      nodeFileSystem.sync(descriptor);
    },
    readStart(name, limit) {
      const bytes = nodeFileSystem.readStart(name, limit);
      counts.otherRead += bytes.length;
      return bytes;
    },
  };
  const { target, image } = openForPatching(counting, path, options);
  try {
    const plan = planHotplug(image, [change]);
    applyPlan(target, plan, {});
    const sizes = image.segments.filter(({ name }) => ['elfcorehdr', 'fdt', 'purgatory'].includes(name)).map(({ memsz }) => Number(memsz));
    return { ...counts, description: sizes.reduce((sum, size) => sum + size, 0) };
  } finally {
    closeTarget(target);
  }
}
