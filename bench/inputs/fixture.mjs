// What all inputs are made of: the captured kdump image of a ppc64le guest.
import { fileURLToPath } from 'node:url';
import * as library from '../../dist/lib/index.js';

export { library };

export const FIXTURE = fileURLToPath(new URL('../../fixtures/images/ppc64le-64k.kdump', import.meta.url));

export function openFixture() {
  return library.openImage(library.nodeFileSystem, FIXTURE);
}

/** Room for 8,192 CPU nodes and more. */
export const FDT_ROOM = 64 << 20;
