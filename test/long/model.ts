import { expect } from 'vitest';
import { sectionOf } from '../helpers/fixtures.js';
import { LMB } from '../helpers/numa-tree.js';
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
  /** NUMA node of each LMB from address 0 on, undefined where the machine has no memory; null for a machine without nodes. */
  readonly lmbs: readonly (number | undefined)[] | null;
}

/** What an image file says: the pages that its PT_LOADs list, and the ids of its CPU nodes. */
export function stateOf(image: Buffer, size: bigint): State {
  const pages = Buffer.alloc(pageOf(size));
  for (const { start, end } of loadsOf(image)) pages.fill(1, pageOf(start), pageOf(end + PAGE - 1n));
  return { pages, cpus: cpusOf(image), lmbs: null };
}

function pageOf(address: bigint): number {
  return Number(address / PAGE);
}

/** The memory of each PT_LOAD. The kernel's right half of a split, one byte too long, counts at its true size. */
export function loadsOf(image: Buffer): Range[] {
  return programHeadersOf(sectionOf(image, '.kexec.elfcorehdr').bytes)
    .filter(({ type, memsz }) => type === PT_LOAD && memsz > 0n)
    .map(({ paddr, memsz }) => ({ start: paddr, end: paddr + memsz - ((paddr + memsz) % PAGE === 1n ? 1n : 0n) }));
}

/** Those PT_LOADs that can be removed: above the first MiB, and no kernel text, which another one lists again. */
export function removableLoads(image: Buffer): Range[] {
  const loads = loadsOf(image);
  return loads.filter(
    (load) => load.start >= FIRST_MIB && loads.every((other) => other === load || other.end <= load.start || other.start >= load.end),
  );
}

export function withPages(state: State, { start, end }: Range, listed: 0 | 1): State {
  const pages = Buffer.from(state.pages);
  pages.fill(listed, pageOf(start), pageOf(end + PAGE - 1n));
  return { ...state, pages };
}

/** With other NUMA nodes, where there are any, for the LMBs of the range. */
export function withNodes(state: State, { start, end }: Range, nodeOf: (previous: number | undefined) => number | undefined): State {
  if (state.lmbs === null) return state;
  const lmbs = [...state.lmbs];
  for (let at = Number(start / LMB); at < Number(end / LMB); at += 1) lmbs[at] = nodeOf(lmbs[at - 1]);
  return { ...state, lmbs };
}

/** The memory as Linux lists it on a machine with NUMA nodes: as one what touches within a node, apart what touches across nodes. */
export function regionsOf({ pages, lmbs }: State): Range[] {
  const regions: Range[] = [];
  for (let start = pages.indexOf(1); start >= 0;) {
    const next = pages.indexOf(0, start);
    const end = next < 0 ? pages.length : next;
    let at = BigInt(start) * PAGE;
    const last = BigInt(end) * PAGE;
    for (let lmb = at / LMB; (lmb + 1n) * LMB < last; lmb += 1n) {
      if (lmbs?.[Number(lmb)] === lmbs?.[Number(lmb) + 1]) continue;
      regions.push({ start: at, end: (lmb + 1n) * LMB });
      at = (lmb + 1n) * LMB;
    }
    regions.push({ start: at, end: last });
    start = pages.indexOf(1, end);
  }
  return regions;
}

/** Whether all, some or none of the pages are listed. */
export function listedOf({ pages }: State, { start, end }: Range): 'all' | 'some' | 'none' {
  const part = pages.subarray(pageOf(start), pageOf(end));
  return part.includes(1) ? (part.includes(0) ? 'some' : 'all') : 'none';
}

/** @param unclear where either may be listed */
export function expectSame(found: State, expected: State, unclear: readonly Range[], what: string): void {
  if (!found.pages.equals(expected.pages)) {
    const isUnclear = (page: number): boolean => unclear.some(({ start, end }) => page >= pageOf(start) && page < pageOf(end + PAGE - 1n));
    const page = found.pages.findIndex((listed, at) => listed !== expected.pages[at] && !isUnclear(at));
    if (page >= 0) expect.fail(`${what}: page 0x${page.toString(16)} differs`);
  }
  expect(found.cpus, what).toEqual(expected.cpus);
}

/** Ids of the CPU nodes of the image's FDT. */
function cpusOf(image: Buffer): Set<number> | null {
  if (!image.includes('.kexec.fdt')) return null;
  const tree = sectionOf(image, '.kexec.fdt').bytes;
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
