import { KdumpError, hex, within } from '../errors.js';
import { safePosition } from '../bytes/position.js';
import type { InputFile } from '../file/input-file.js';
import { firstEndingAfter } from '../memory/range-set.js';
import { byAddress, formatRange, rangeOfSize, sizeOf, type Range } from '../memory/range.js';

/** A piece of physical memory that a file holds: `fileSize` bytes from `fileOffset`, the rest of `size` is zero. */
export interface Extent {
  readonly address: bigint;
  readonly size: bigint;
  readonly fileOffset: bigint;
  readonly fileSize: bigint;
}

const CHUNK = 1 << 20;
/** Physical addresses have at most 52 bits (MAXPHYADDR of x86, LPA2 of arm64); looking through more than that would take for ever. */
const MOST_MEMORY = 1n << 52n;

/** Physical memory as a file holds it. Addresses are bigint; nothing is read but what is asked for. */
export class PhysicalMemory {
  readonly extents: readonly Extent[];
  private readonly ranges: readonly Range[];
  private readonly known = new Map<string, Uint8Array>();

  readonly file: InputFile;

  /** @throws KdumpError `input` when extents overlap, lie outside the file, or are more than 2^52 bytes */
  constructor(file: InputFile, extents: readonly Extent[]) {
    this.file = file;
    this.extents = [...extents].sort(byAddress);
    this.ranges = this.extents.map(({ address, size }) => rangeOfSize(address, size));
    let previousEnd = 0n;
    let stored = 0n;
    for (const { address, size, fileOffset, fileSize } of this.extents) {
      const { start, end } = rangeOfSize(address, size);
      if (start < previousEnd) {
        throw new KdumpError('input', 'two pieces of the file claim the same physical memory', {
          file: file.path,
          found: formatRange({ start, end }),
        });
      }
      if (fileSize > size || fileOffset + fileSize > file.size) {
        throw new KdumpError('input', `memory at ${hex(address)} lies outside the file`, {
          file: file.path,
          offset: fileOffset,
          found: `${fileSize} bytes in a file of ${file.size}`,
          expected: 'all of them inside the file',
          remedy: 'the file is cut short, or no dump of memory: make it anew',
        });
      }
      previousEnd = end;
      stored += fileSize;
    }
    if (stored > MOST_MEMORY) {
      throw new KdumpError('input', 'the file claims more memory than any machine has', {
        file: file.path,
        found: `${stored} bytes`,
        expected: 'at most 2^52',
        remedy: 'give a file of memory alone, or the part of it that is memory with --map',
      });
    }
  }

  get path(): string {
    return this.file.path;
  }

  /** Whether the file holds all of `range`. */
  holds(range: Range): boolean {
    return this.pieces(range) !== undefined;
  }

  /** @throws KdumpError `input` when the file does not hold all of `range` */
  require(range: Range): void {
    this.requirePieces(range);
  }

  /** `length` bytes from `address`. @throws KdumpError `input` when the file does not hold all of them */
  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (length > 0) this.readInto(bytes, address);
    return bytes;
  }

  /** As {@link read}, of a small piece that several steps of opening an image look at: it is read once, and nobody changes the bytes. */
  readOnce(address: bigint, length: number): Uint8Array {
    const key = `${address}+${length}`;
    let bytes = this.known.get(key);
    if (bytes === undefined) this.known.set(key, (bytes = this.read(address, length)));
    return bytes;
  }

  /** As {@link read}, into bytes of the caller. */
  readInto(into: Uint8Array, address: bigint): void {
    let done = 0;
    for (const piece of this.requirePieces(rangeOfSize(address, BigInt(into.length)))) {
      const part = into.subarray(done, done + piece.stored);
      if (piece.stored > 0) this.file.readInto(part, piece.fileOffset);
      into.fill(0, done + piece.stored, done + piece.length);
      done += piece.length;
    }
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

  /**
   * Where in the file the `length` bytes from `address` are, to be written to.
   *
   * @throws KdumpError `input` when some of them are not stored in the file, or not in one place, or behind 2^53
   */
  fileOffset(address: bigint, length: number): number {
    const pieces = this.requirePieces(rangeOfSize(address, BigInt(length)));
    const [piece] = pieces;
    if (piece === undefined || pieces.length > 1 || piece.stored < length) {
      throw new KdumpError('input', `the file does not store the ${length} bytes at physical address ${hex(address)} in one place`, {
        file: this.path,
      });
    }
    return within({ file: this.path }, () => safePosition(piece.fileOffset));
  }

  /** File offset of `address`, null where the file does not hold it. */
  placeOf(address: bigint): bigint | null {
    return this.pieces(rangeOfSize(address, 1n))?.[0]?.fileOffset ?? null;
  }

  private requirePieces(range: Range): Piece[] {
    const pieces = this.pieces(range);
    if (pieces === undefined) {
      throw new KdumpError('input', 'the file does not hold this physical memory', {
        file: this.path,
        found: formatRange(range),
        expected: `addresses inside ${this.extents
          .slice(0, 4)
          .map((extent) => formatRange(rangeOfSize(extent.address, extent.size)))
          .join(', ')}${this.extents.length > 4 ? ', …' : ''}`,
      });
    }
    return pieces;
  }

  private pieces(range: Range): Piece[] | undefined {
    const pieces: Piece[] = [];
    let address = range.start;
    for (let i = firstEndingAfter(this.ranges, address); address < range.end; i += 1) {
      const extent = this.extents[i];
      if (extent === undefined || extent.address > address) return undefined;
      const skip = address - extent.address;
      const end = extent.address + extent.size;
      const length = (end < range.end ? end : range.end) - address;
      const storedLeft = extent.fileSize > skip ? extent.fileSize - skip : 0n;
      pieces.push({
        fileOffset: extent.fileOffset + skip,
        length: safePosition(length),
        stored: safePosition(storedLeft < length ? storedLeft : length),
      });
      address += length;
    }
    return pieces;
  }
}

/** The same memory with `by` added to every address; what would lie below 0 is left out. @throws KdumpError `input` past 2^64 */
export function moved(memory: PhysicalMemory, by: bigint): PhysicalMemory {
  return new PhysicalMemory(
    memory.file,
    memory.extents.flatMap(({ address, size, fileOffset, fileSize }) => {
      const start = address + by;
      const skip = start < 0n ? -start : 0n;
      if (skip >= size) return [];
      return { address: start + skip, size: size - skip, fileOffset: fileOffset + skip, fileSize: fileSize > skip ? fileSize - skip : 0n };
    }),
  );
}

interface Piece {
  fileOffset: bigint;
  length: number;
  stored: number;
}
