import type { KdumpError } from '../errors.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { RangeList } from '../memory/range-list.js';
import { merged } from '../memory/range-set.js';

/** The memory that the elfcorehdr lists, of whatever kind; adjacent ranges are one. */
export function listedMemory(image: KdumpImage): RangeList {
  return new RangeList(merged(crashMemoryOf(image).ranges.map(({ range }) => range)));
}

/**
 * Tells which changes do not fit a full elfcorehdr, without planning each: of ranges that are adjacent to nothing every one needs a program header of its own,
 * so where one is refused for want of room, the others are, too.
 */
export class HeaderRoom {
  /** Memory that is listed once what is accepted is made. */
  private readonly listed: RangeList;
  /** Why one more program header was refused; it holds until a change may have freed one. */
  private full: KdumpError | undefined;

  private readonly image: KdumpImage;

  constructor(image: KdumpImage) {
    this.image = image;
    this.listed = listedMemory(image);
  }

  accept(changes: readonly Change[]): void {
    for (const change of changes) {
      if (this.mayFreeOne(change)) this.full = undefined;
      if ('cpu' in change) continue;
      if (change.action === 'remove') this.listed.remove(change.memory);
      else if (this.listed.overlapping(change.memory) === undefined) this.listed.add(change.memory);
    }
  }

  /** @param error why `changes` alone, after all that is accepted, cannot be made */
  refuse(changes: readonly Change[], error: KdumpError): void {
    if (error.code === 'no-room' && error.details.segment === 'elfcorehdr' && this.needsOneMore(changes)) this.full = error;
  }

  /** Why a unit cannot be made, by the unit: those of `units`, which come in their order, of which it is certain. */
  without<U extends { readonly changes: readonly Change[] }>(units: readonly U[]): ReadonlyMap<U, KdumpError> {
    const refused = new Map<U, KdumpError>();
    if (this.full === undefined) return refused;
    // A range may be adjacent to one that is tried before it, and what may free a program header makes all after it uncertain.
    const tried = new RangeList([]);
    for (const unit of units) {
      if (unit.changes.some((change) => this.mayFreeOne(change))) break;
      if (this.needsOneMore(unit.changes, tried)) refused.set(unit, this.full);
      else {
        for (const change of unit.changes) {
          if ('memory' in change && tried.overlapping(change.memory) === undefined) tried.add(change.memory);
        }
      }
    }
    return refused;
  }

  /** Whether `changes` are sure to need one program header more. @param tried is perhaps listed, too */
  private needsOneMore([change, ...more]: readonly Change[], tried?: RangeList): boolean {
    if (change === undefined || more.length > 0 || 'cpu' in change || change.action === 'remove') return false;
    const { start, end } = change.memory;
    const around = this.image.architecture.mergesAdjacent ? { start: start - 1n, end: end + 1n } : change.memory;
    return this.listed.overlapping(around) === undefined && tried?.overlapping(around) === undefined;
  }

  /** Whether there may be fewer program headers after `change`: a range goes, or joins two others. */
  private mayFreeOne(change: Change): boolean {
    if ('cpu' in change || change.action === 'remove') return true;
    return this.isListed(change.memory.start - 1n) && this.isListed(change.memory.end);
  }

  private isListed(address: bigint): boolean {
    return this.listed.overlapping({ start: address, end: address + 1n }) !== undefined;
  }
}
