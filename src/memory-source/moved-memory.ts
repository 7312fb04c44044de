import { rangeOfSize, type Range } from '../memory/range.js';
import { PhysicalMemory } from './physical-memory.js';

/** Other memory with `by` added to every address; what would lie below 0 is left out. */
export class MovedMemory extends PhysicalMemory {
  readonly ranges: readonly Range[];
  private readonly memory: PhysicalMemory;
  private readonly by: bigint;

  /** @throws KdumpError `input` for addresses past 2^64 */
  constructor(memory: PhysicalMemory, by: bigint) {
    super();
    this.memory = memory;
    this.by = by;
    this.ranges = this.moved(memory.ranges);
  }

  get path(): string {
    return this.memory.path;
  }

  get status(): PhysicalMemory['status'] {
    return this.memory.status;
  }

  close(): void {
    this.memory.close();
  }

  override stored({ start, end }: Range): readonly Range[] {
    return this.moved(this.memory.stored({ start: start - this.by, end: end - this.by }));
  }

  placeOf(address: bigint): bigint | null {
    return this.memory.placeOf(address - this.by);
  }

  protected readHeld(into: Uint8Array, address: bigint): void {
    this.memory.readInto(into, address - this.by);
  }

  private moved(ranges: readonly Range[]): Range[] {
    return ranges.flatMap(({ start, end }) => {
      const from = start + this.by < 0n ? 0n : start + this.by;
      return end + this.by > from ? [rangeOfSize(from, end + this.by - from)] : [];
    });
  }
}
