import { expect } from 'vitest';
import { readFileSync } from 'node:fs';
import { section } from '../helpers/fixtures.js';
import { PT_LOAD, programHeadersOf } from '../helpers/build-image.js';

/*
 * An image as somebody would describe it who knows ELF, the device tree format and what a hotplug event means, and nothing of the code under
 * test: memory is pages, CPUs are a set of ids.
 */

const PAGE = 0x1000n;
const FIRST_MIB = 0x100000n;

export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

export interface State {
  /** One byte a page, from address 0 on. */
  readonly pages: Buffer;
  /** null without an FDT. */
  readonly cpus: ReadonlySet<number> | null;
}

/** What an image file says: the pages that its PT_LOADs list, and the ids of its CPU nodes. */
export function stateOf(path: string, size: bigint): State {
  const pages = Buffer.alloc(Number(size / PAGE));
  for (const { start, end } of loadsOf(path)) pages.fill(1, Number(start / PAGE), Number((end + PAGE - 1n) / PAGE));
  return { pages, cpus: cpusOf(path) };
}

/** The memory of each PT_LOAD. The kernel's right half of a split, one byte too long, counts at its true size. */
export function loadsOf(path: string): Range[] {
  return programHeadersOf(section(path, '.kexec.elfcorehdr').bytes)
    .filter(({ type, memsz }) => type === PT_LOAD && memsz > 0n)
    .map(({ paddr, memsz }) => ({ start: paddr, end: paddr + memsz - ((paddr + memsz) % PAGE === 1n ? 1n : 0n) }));
}

/** Those PT_LOADs that can be removed: above the first MiB, and no kernel text, which another one lists again. */
export function removableLoads(path: string): Range[] {
  const loads = loadsOf(path);
  return loads.filter(
    (load) => load.start >= FIRST_MIB && loads.every((other) => other === load || other.end <= load.start || other.start >= load.end),
  );
}

export function withPages({ pages, cpus }: State, { start, end }: Range, listed: 0 | 1): State {
  const changed = Buffer.from(pages);
  changed.fill(listed, Number(start / PAGE), Number((end + PAGE - 1n) / PAGE));
  return { pages: changed, cpus };
}

/** Whether all, some or none of the pages are listed. */
export function listedOf({ pages }: State, { start, end }: Range): 'all' | 'some' | 'none' {
  const part = pages.subarray(Number(start / PAGE), Number(end / PAGE));
  return part.includes(1) ? (part.includes(0) ? 'some' : 'all') : 'none';
}

/** @param unclear where either may be listed */
export function expectSame(found: State, expected: State, unclear: readonly Range[], what: string): void {
  const [now, then] = [found, expected].map((state) => unclear.reduce((left, range) => withPages(left, range, 0), state).pages);
  if (now === undefined || then === undefined || !now.equals(then))
    expect.fail(`${what}: page 0x${now?.findIndex((byte, page) => byte !== then?.[page]).toString(16)} differs`);
  expect(found.cpus, what).toEqual(expected.cpus);
}

/** Ids of the CPU nodes of the image's FDT. */
function cpusOf(path: string): Set<number> | null {
  if (!readFileSync(path).includes('.kexec.fdt')) return null;
  const tree = section(path, '.kexec.fdt').bytes;
  const [structure, strings] = [tree.readUInt32BE(8), tree.readUInt32BE(12)];
  const nameAt = (offset: number): string => tree.toString('latin1', offset, tree.indexOf(0, offset));
  const aligned = (offset: number): number => (offset + 3) & ~3;
  const ids = new Set<number>();
  const nodes: { name: string; properties: Map<string, Buffer> }[] = [];
  for (let at = structure; ;) {
    const token = tree.readUInt32BE(at);
    at += 4;
    if (token === 1) {
      const name = nameAt(at);
      nodes.push({ name, properties: new Map() });
      at = aligned(at + name.length + 1);
    } else if (token === 2) {
      const node = nodes.pop();
      const [type, reg] = ['device_type', 'reg'].map((name) => node?.properties.get(name));
      if (nodes.length === 2 && nodes[1]?.name === 'cpus' && type?.toString('latin1') === 'cpu\0' && reg !== undefined)
        ids.add(reg.readUInt32BE(reg.length - 4));
    } else if (token === 3) {
      const length = tree.readUInt32BE(at);
      const name = nameAt(strings + tree.readUInt32BE(at + 4));
      nodes.at(-1)?.properties.set(name, tree.subarray(at + 8, at + 8 + length));
      at = aligned(at + 8 + length);
    } else if (token === 9) return ids;
  }
}
