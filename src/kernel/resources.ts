import { KdumpError, hex } from '../errors.js';
import type { KernelMemory } from './kernel-memory.js';
import type { Layouts } from './layouts.js';

/** Far more than any machine has. */
const MAX_RESOURCES = 1 << 16;
/** MAX_IORES_LEVEL of kernel/resource.c: deeper ones are not indented further. */
const MAX_DEPTH = 8;

/** A resource of the kernel (struct resource, include/linux/ioport.h). */
export interface Resource {
  readonly address: bigint;
  readonly start: bigint;
  /** Inclusive. */
  readonly last: bigint;
  readonly name: string;
  /** 0 for children of the root. */
  readonly depth: number;
}

/** The resources below the one at `root`, each before what is in it. @throws KdumpError `input` when they are no tree */
export function readResources(memory: KernelMemory, layouts: Layouts, root: bigint): Resource[] {
  const found: Resource[] = [];
  const seen = new Set<bigint>();
  // What is still to be looked at, the next one last.
  const open: { address: bigint; parent: bigint; depth: number }[] = [];
  const add = (address: bigint, parent: bigint, depth: number): void => {
    if (address !== 0n) open.push({ address, parent, depth });
  };
  add(layouts.at('resource', root).u64('child'), root, 0);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { address, parent, depth } = next;
    const resource = layouts.at('resource', address);
    if (seen.has(address) || seen.size >= MAX_RESOURCES || resource.u64('parent') !== parent) {
      throw new KdumpError('input', "the kernel's resources are no tree", {
        found: `a resource at ${hex(address)} that is not where it belongs`,
      });
    }
    seen.add(address);
    const name = resource.u64('name');
    found.push({
      address,
      start: resource.u64('start'),
      last: resource.u64('end'),
      name: name === 0n ? '<BAD>' : memory.text(name),
      depth,
    });
    add(resource.u64('sibling'), parent, depth);
    add(resource.u64('child'), address, depth + 1);
  }
  return found;
}

/** Resources as /proc/iomem has them (r_show() in kernel/resource.c); all addresses of a machine's root have more than 16 bits. */
export function formatIomem(resources: readonly Resource[]): string {
  const number = (value: bigint): string => value.toString(16).padStart(8, '0');
  return resources
    .map(({ start, last, name, depth }) => `${' '.repeat(2 * Math.min(depth, MAX_DEPTH))}${number(start)}-${number(last)} : ${name}\n`)
    .join('');
}
