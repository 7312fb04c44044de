/** A node of a device tree, whatever the tree was read from. {@link FdtNode} is one. */
export interface TreeNode {
  /** With its unit address. */
  readonly name: string;
  property(name: string): Uint8Array | undefined;
  children(): readonly TreeNode[];
}

/** The name without the unit address: `memory` of `memory@80000000`. */
export function baseName(name: string): string {
  return name.split('@', 1)[0] as string;
}
