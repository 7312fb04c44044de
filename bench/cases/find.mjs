// Finding the segments in the memory of a guest.
import { readFileSync } from 'node:fs';
import { library } from '../inputs/fixture.mjs';

const { closeImage, nodeFileSystem, openImage, parseKexecLog } = library;

export function prepare(path, how, ...words) {
  const options = {
    none: () => ({}),
    crashKernel: ([start, end]) => ({ crashKernel: { start: BigInt(start), end: BigInt(end) } }),
    kexecLog: ([log]) => ({ segmentTable: parseKexecLog(readFileSync(log, 'utf8')) }),
  }[how](words);
  return {
    work() {
      closeImage(openImage(nodeFileSystem, path, { format: 'raw', ...options }));
    },
  };
}
