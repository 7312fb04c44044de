import type { Fdt, FdtNode } from '../fdt/fdt.js';
import { baseName } from '../fdt/tree-node.js';
import type { DeviceTreeNode } from './device-tree.js';

/** The root of `fdt` with those of its children that are named in `only`, with or without their unit address, as a device tree. */
export function deviceTreeOfFdt(fdt: Fdt, only: readonly string[]): DeviceTreeNode {
  return {
    name: '',
    properties: propertiesOf(fdt.root),
    children: fdt.root
      .children()
      .filter(({ name }) => only.includes(name) || only.includes(baseName(name)))
      .map(nodeOf),
  };
}

/** The parser has bounded the depth. */
function nodeOf(node: FdtNode): DeviceTreeNode {
  return { name: node.name, properties: propertiesOf(node), children: node.children().map(nodeOf) };
}

function propertiesOf(node: FdtNode): ReadonlyMap<string, Uint8Array> {
  return new Map(node.properties().map(({ name, value }) => [name, value]));
}
