import { KdumpError } from '../errors.js';
import { P_MEMSZ, P_OFFSET, P_PADDR } from '../elf/program-header-table.js';
import { firstWhere } from '../memory/first-where.js';
import { formatRange, type Range } from '../memory/range.js';
import type { StoredRanges } from '../memory/range-list.js';
import { KIND, isTooLongAt, rangeAt, type CrashTable } from './crash-table.js';

const TWO_32 = 0x100000000;

/** The RAM that an elfcorehdr lists, ascending, each range made when it is looked at. */
export class RamRanges implements StoredRanges {
  readonly hasAdjacent: boolean;
  /** Indexes of program headers. */
  private readonly indexes: Uint32Array;
  /** Of the first one that overlaps the next; -1 for none. */
  private readonly firstOverlap: number;

  private readonly crash: CrashTable;

  constructor(crash: CrashTable) {
    this.crash = crash;
    const { kinds } = crash;
    const indexes = new Uint32Array(kinds.length);
    let length = 0;
    for (let index = 0; index < kinds.length; index += 1) {
      if (kinds[index] !== KIND.ram) continue;
      indexes[length] = index;
      length += 1;
    }
    this.indexes = indexes.subarray(0, length);
    if (!this.isAscending()) this.indexes.sort((a, b) => this.compareStarts(a, b) || a - b);
    let firstOverlap = -1;
    let hasAdjacent = false;
    for (let at = length - 2; at >= 0; at -= 1) {
      const distance = this.gapBehind(at);
      if (distance < 0) firstOverlap = at;
      else if (distance === 0) hasAdjacent = true;
    }
    this.firstOverlap = firstOverlap;
    this.hasAdjacent = hasAdjacent;
  }

  get length(): number {
    return this.indexes.length;
  }

  at(index: number): Range {
    return rangeAt(this.crash, this.indexAt(index));
  }

  /** Index of its program header. */
  indexAt(index: number): number {
    return this.indexes[index] as number;
  }

  /** Where the last range that starts at or before `address` is; -1 where there is none. */
  lastStartingAtOrBefore(address: bigint): number {
    return firstWhere(0, this.length, (at) => this.crash.table.value(this.indexAt(at), P_PADDR) > address) - 1;
  }

  /** @throws KdumpError `refused` when ranges overlap, or one has its contents at another address */
  refuseUnclear(): void {
    const { table } = this.crash;
    const moved = this.indexes.findIndex((index) => !table.same(index, P_OFFSET, P_PADDR));
    if (this.firstOverlap >= 0 && (moved < 0 || this.firstOverlap <= moved)) {
      throw new KdumpError('refused', 'two PT_LOADs overlap', {
        segment: 'elfcorehdr',
        found: `${formatRange(this.at(this.firstOverlap))} and ${formatRange(this.at(this.firstOverlap + 1))}`,
        remedy: 'reload the kdump image',
      });
    }
    if (moved >= 0) {
      throw new KdumpError('refused', 'a PT_LOAD keeps its contents at another address, and is not the backup of low memory', {
        segment: 'elfcorehdr',
        found: formatRange(this.at(moved)),
        remedy: 'reload the kdump image',
      });
    }
  }

  private isAscending(): boolean {
    for (let at = 1; at < this.indexes.length; at += 1) {
      if (this.compareStarts(this.indexes[at - 1] as number, this.indexes[at] as number) > 0) return false;
    }
    return true;
  }

  private compareStarts(a: number, b: number): number {
    const { table } = this.crash;
    return table.high(a, P_PADDR) - table.high(b, P_PADDR) || table.low(a, P_PADDR) - table.low(b, P_PADDR);
  }

  /** Of the sign of the bytes between the range at `at` and the next one. */
  private gapBehind(at: number): number {
    const { table } = this.crash;
    const [index, next] = [this.indexes[at] as number, this.indexes[at + 1] as number];
    const low = table.low(index, P_PADDR) + table.low(index, P_MEMSZ) - (isTooLongAt(table, index) ? 1 : 0);
    const high = table.high(index, P_PADDR) + table.high(index, P_MEMSZ) + Math.floor(low / TWO_32);
    return table.high(next, P_PADDR) - high || table.low(next, P_PADDR) - (low % TWO_32);
  }
}
