/** A node of a device tree, whatever the tree was read from. {@link FdtNode} is one. */
export interface TreeNode {
  /** With its unit address. */
  readonly name: string;
  /** The value of a property; undefined where the node has none of that name. */
  property(name: string): Uint8Array | undefined;
  /** In their order in the tree. */
  children(): readonly TreeNode[];
}

/** The name without the unit address: `memory` of `memory@80000000`. */
export function baseName(name: string): string {
  return name.split('@', 1)[0] as string;
}
