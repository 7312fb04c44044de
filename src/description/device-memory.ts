import type { KdumpImage } from '../image/image.js';
import type { LiveDeviceTree } from '../machine/device-tree.js';
import { treeNode } from '../machine/tree-node.js';
import type { Range } from '../memory/range.js';
import { merged } from '../memory/range-set.js';

/**
 * Memory on devices that a dump has to leave out, by the FDT of the image and the live tree: coherent device memory, such as that of a GPU.
 * Its link goes down in a crash, and the machine stops at the first read; kexec-tools leaves it out (its commit aec4d0f), and the kernel's own
 * rebuild does not.
 */
export function deviceMemoryOf(image: Pick<KdumpImage, 'architecture' | 'fdt'>, deviceTree: LiveDeviceTree | undefined): readonly Range[] {
  const { deviceMemory } = image.architecture;
  if (deviceMemory === undefined) return [];
  const trees = [...(image.fdt === null ? [] : [image.fdt.tree.root]), ...(deviceTree === undefined ? [] : [treeNode(deviceTree.root)])];
  return merged(trees.flatMap(deviceMemory));
}
