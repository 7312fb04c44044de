import { KdumpError, hex } from '../errors.js';
import type { KernelMemory } from './kernel-memory.js';
import type { Layouts } from './layouts.js';

/** As for a tree that is read from files. */
const MAX_ENTRIES = 1_000_000;
const MAX_DEPTH = 64;
const MAX_VALUES = 16 << 20;

/** A node of the kernel's device tree (struct device_node, include/linux/of.h). */
export interface KernelNode {
  /** With its unit address; the root's is empty. */
  readonly name: string;
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly KernelNode[];
}

/**
 * The device tree at `root`, as /proc/device-tree shows it.
 *
 * @param wants which children of the root are read
 * @throws KdumpError `input` when it is no tree, or larger than any
 */
export function readLiveTree(memory: KernelMemory, layouts: Layouts, root: bigint, wants: (name: string) => boolean): KernelNode {
  return new TreeReader(memory, layouts).node(root, 0n, 0, wants);
}

class TreeReader {
  private readonly seen = new Set<bigint>();
  private valuesLeft = MAX_VALUES;

  private readonly memory: KernelMemory;
  private readonly layouts: Layouts;

  constructor(memory: KernelMemory, layouts: Layouts) {
    this.memory = memory;
    this.layouts = layouts;
  }

  node(address: bigint, parent: bigint, depth: number, wants?: (name: string) => boolean): KernelNode {
    const node = this.layouts.at('device_node', address);
    if (depth > MAX_DEPTH || node.u64('parent') !== parent) throw damaged(`a node at ${hex(address)} that is not where it belongs`);
    const properties = this.properties(node.u64('properties'));
    const children: KernelNode[] = [];
    for (let child = node.u64('child'); child !== 0n;) {
      this.admit(child);
      const entry = this.layouts.at('device_node', child);
      const name = this.nameOf(entry.u64('full_name'));
      if (wants?.(name) !== false) children.push(this.node(child, address, depth + 1));
      child = entry.u64('sibling');
    }
    return { name: depth === 0 ? '' : this.nameOf(node.u64('full_name')), properties, children };
  }

  private properties(first: bigint): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    for (let address = first; address !== 0n;) {
      this.admit(address);
      const property = this.layouts.at('property', address);
      const [name, length] = [this.nameOf(property.u64('name')), property.s32('length')];
      this.valuesLeft -= length;
      if (length < 0 || this.valuesLeft < 0) throw damaged(`a property of ${length} bytes`);
      // Of two with one name the first counts (__of_find_property() in drivers/of/base.c).
      if (!found.has(name)) found.set(name, length === 0 ? new Uint8Array() : this.memory.read(property.u64('value'), length));
      address = property.u64('next');
    }
    return found;
  }

  /** What a file can be called. */
  private nameOf(address: bigint): string {
    const name = this.memory.text(address);
    if (name === '' || name === '.' || name === '..' || (name.includes('/') && name !== '/')) throw damaged('an impossible name');
    return name;
  }

  private admit(address: bigint): void {
    if (this.seen.has(address) || this.seen.size >= MAX_ENTRIES) throw damaged(`a node or property at ${hex(address)} that is there twice`);
    this.seen.add(address);
  }
}

function damaged(found: string): KdumpError {
  return new KdumpError('input', "the kernel's device tree is damaged", { found });
}
