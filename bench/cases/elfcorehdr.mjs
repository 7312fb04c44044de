// One memory change in a large elfcorehdr: read, parsed, planned, encoded, checked, and compared for what is to be written.
import { library } from '../inputs/fixture.mjs';

const { changedRuns, closeImage, openImage, nodeFileSystem, planHotplug } = library;

export function prepare(path, start) {
  const memory = { start: BigInt(start), end: BigInt(start) + 0x10000000n };
  return {
    work() {
      const image = openImage(nodeFileSystem, path);
      const plan = planHotplug(image, [{ action: 'add', memory }]);
      if (plan.segments.flatMap((segment) => changedRuns(segment)).length === 0) throw new Error('nothing changes');
      closeImage(image);
    },
  };
}
