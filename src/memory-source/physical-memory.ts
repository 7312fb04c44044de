import { KdumpError } from '../errors.js';
import type { FileStatus } from '../file/file-system.js';
import { common, firstEndingAfter } from '../memory/range-set.js';
import { formatRange, rangeOfSize, sizeOf, type Range } from '../memory/range.js';

const CHUNK = 1 << 20;
/** Of the ranges that are held, an error names so many. */
const NAMED = 4;

/**
 * The physical memory of a machine, wherever it comes from. Addresses are bigint; nothing is read but what is asked for.
 *
 * What holds memory says which addresses it has, and reads them: `path`, `ranges`, `readHeld` and `close`. The rest follows from these.
 */
export abstract class PhysicalMemory {
  /** What messages call it. */
  abstract readonly path: string;
  /** The addresses that are held: ascending and disjoint. Adjacent ranges may be apart. */
  abstract readonly ranges: readonly Range[];
  /** Size of the file that it comes from, and who may read it. */
  abstract readonly status: Pick<FileStatus, 'size' | 'mode' | 'group'>;
  private readonly known = new Map<string, Uint8Array>();

  /** Lets go of what it is read from; nothing can be read after that. */
  abstract close(): void;

  /** Fills `into` from `address` on, all of which is held, though it may go through several of `ranges`. */
  protected abstract readHeld(into: Uint8Array, address: bigint): void;

  /** The parts of `range` that may hold anything but zeros, ascending; nobody has to read the others. */
  stored(range: Range): readonly Range[] {
    return common([range], this.ranges);
  }

  /** Where the byte at `address` is in the file, as it is in memory; null where it is not stored like that. */
  abstract placeOf(address: bigint): bigint | null;

  /** Whether all of `range` is held. */
  holds(range: Range): boolean {
    let next = range.start;
    for (let i = firstEndingAfter(this.ranges, next); next < range.end; i += 1) {
      const held = this.ranges[i];
      if (held === undefined || held.start > next) return false;
      next = held.end;
    }
    return true;
  }

  /** @throws KdumpError `input` when not all of `range` is held */
  require(range: Range): void {
    if (this.holds(range)) return;
    const named = this.ranges.slice(0, NAMED).map(formatRange);
    throw new KdumpError('input', 'the file does not hold this physical memory', {
      file: this.path,
      found: formatRange(range),
      expected: `addresses inside ${named.join(', ')}${this.ranges.length > NAMED ? ', …' : ''}`,
    });
  }

  /** `length` bytes from `address`. @throws KdumpError `input` when not all of them are held */
  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.readInto(bytes, address);
    return bytes;
  }

  /** As {@link read}, of a small piece that several steps of opening an image look at: it is read once, and nobody changes the bytes. */
  readOnce(address: bigint, length: number): Uint8Array {
    const key = `${address}+${length}`;
    let bytes = this.known.get(key);
    if (bytes === undefined) this.known.set(key, (bytes = this.read(address, length)));
    return bytes;
  }

  /** Fills `into` from `address`. @throws KdumpError `input` when not all of that is held */
  readInto(into: Uint8Array, address: bigint): void {
    if (into.length === 0) return;
    this.require(rangeOfSize(address, BigInt(into.length)));
    this.readHeld(into, address);
  }

  /** The bytes of `range` in order, in chunks of at most 1 MiB that are valid until the next one is asked for. */
  *chunks(range: Range): Generator<{ address: bigint; bytes: Uint8Array }> {
    const buffer = new Uint8Array(Number(sizeOf(range) < CHUNK ? sizeOf(range) : CHUNK));
    for (let address = range.start; address < range.end; address += BigInt(CHUNK)) {
      const left = range.end - address;
      const bytes = left < buffer.length ? buffer.subarray(0, Number(left)) : buffer;
      this.readInto(bytes, address);
      yield { address, bytes };
    }
  }
}

/** Memory whose bytes can be written to, in the file that has them. */
export interface PatchableMemory {
  /**
   * Where in the file the `length` bytes from `address` are, to be written to.
   *
   * @throws KdumpError `input` when some of them are not stored in the file, or not in one place, or past 2^53
   */
  fileOffset(address: bigint, length: number): number;
}
