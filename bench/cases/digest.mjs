// The purgatory's digest of a whole image, as `check` and every change that it covers need it.
import { library } from '../inputs/fixture.mjs';

const { closeImage, nodeFileSystem, openImage, verifyDigest } = library;

export function prepare(path) {
  const image = openImage(nodeFileSystem, path);
  return {
    work() {
      if (verifyDigest(image) !== 'match') throw new Error('the digest does not match');
    },
    end() {
      closeImage(image);
    },
  };
}
