import type { TreeNode } from '../fdt/tree-node.js';
import type { DeviceTreeNode } from './device-tree.js';

/** A node of a live tree, as code reads it that reads FDTs as well. */
export function treeNode({ name, properties, children }: DeviceTreeNode): TreeNode {
  return { name, property: (property) => properties.get(property), children: () => children.map(treeNode) };
}
