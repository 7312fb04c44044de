// A change file of many changes: parsed and planned for one write.
import { readFileSync } from 'node:fs';
import { FIXTURE, library } from '../inputs/fixture.mjs';

const { closeImage, nodeFileSystem, openImage, parseChanges, planHotplug } = library;

export function prepare(path) {
  return {
    work() {
      const image = openImage(nodeFileSystem, FIXTURE);
      planHotplug(image, parseChanges(readFileSync(path, 'utf8')), { pruneCpus: true });
      closeImage(image);
    },
  };
}
