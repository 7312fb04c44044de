import { join } from 'node:path';
import { Capture, type Guest } from '../helpers/capture-image.js';
import { packNumaImage } from '../helpers/numa-image.js';
import { LMB, type NumaTree } from '../helpers/numa-tree.js';
import type { Range } from './model.js';

/** An image that random sequences of changes are tried on. */
export interface Subject {
  readonly name: string;
  /** Makes it. @returns where */
  make(folder: string): string;
  /** Memory comes and goes in multiples of this. */
  readonly grain: bigint;
  /** For memory to come. */
  readonly room: Range;
  /** What tells the NUMA nodes of its memory. */
  readonly tree?: NumaTree;
}

const captured = (
  [
    'ppc64le-6.12-64k',
    'ppc64le-6.12-64k-numa2',
    'ppc64le-6.12-4k',
    'x86_64-6.12-kexec-load',
    'x86_64-6.12-file-load',
    'aarch64-6.12',
    'riscv64-6.12',
  ] satisfies Guest[]
).map((guest): Subject => ({
  name: guest,
  make: (folder) => new Capture(guest, 'as-captured', 0x2000).packedImage(folder).path,
  grain: 1n << 24n,
  // Above all that the guests had.
  room: { start: 0x100000000n, end: 0x120000000n },
}));

/** Two memory nodes, LMBs that touch across nodes and within them, and a hole; then room for as many more. */
const FOUR_NODES = [0, 0, 1, 1, 1, 2, 2, 3, undefined, 3, 0, 0, ...Array.from({ length: 12 }, () => undefined)];

const built = ([1, 2] as const).flatMap((form) =>
  (['ibm,dynamic-memory', 'ibm,dynamic-memory-v2'] as const).map((table): Subject => {
    const name = `four NUMA nodes, form ${form}, ${table}`;
    const tree: NumaTree = { lmbs: FOUR_NODES, inMemoryNodes: 4, form, table };
    return {
      name,
      make(folder) {
        const path = join(folder, `${name.replaceAll(/\W+/g, '-')}.kdump`);
        packNumaImage(path, tree);
        return path;
      },
      grain: LMB,
      room: { start: 12n * LMB, end: BigInt(FOUR_NODES.length) * LMB },
      tree,
    };
  }),
);

export const SUBJECTS: readonly Subject[] = [...captured, ...built];
