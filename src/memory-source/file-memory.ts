import { KdumpError, hex, within } from '../errors.js';
import { safePosition } from '../bytes/position.js';
import type { FileStatus } from '../file/file-system.js';
import type { InputFile } from '../file/input-file.js';
import { common, firstEndingAfter } from '../memory/range-set.js';
import { byAddress, formatRange, rangeOfSize, type Range } from '../memory/range.js';
import { PhysicalMemory, type PatchableMemory } from './physical-memory.js';

/** A piece of physical memory that a file holds: `fileSize` bytes from `fileOffset`, the rest of `size` is zero. */
export interface Extent {
  readonly address: bigint;
  readonly size: bigint;
  readonly fileOffset: bigint;
  readonly fileSize: bigint;
}

/** Physical addresses have at most 52 bits (MAXPHYADDR of x86, LPA2 of arm64); looking through more than that would take for ever. */
const MOST_MEMORY = 1n << 52n;

/** Physical memory that lies in a file as it is in memory, in one or more extents. */
export class FileMemory extends PhysicalMemory implements PatchableMemory {
  readonly ranges: readonly Range[];
  private readonly file: InputFile;
  /** Ascending by address. */
  readonly extents: readonly Extent[];
  private readonly storedRanges: readonly Range[];

  /** @throws KdumpError `input` when extents overlap, lie outside the file, or are more than 2^52 bytes */
  constructor(file: InputFile, extents: readonly Extent[]) {
    super();
    this.file = file;
    this.extents = [...extents].sort(byAddress);
    this.ranges = this.extents.map(({ address, size }) => rangeOfSize(address, size));
    this.storedRanges = this.extents.flatMap(({ address, fileSize }) => (fileSize > 0n ? [rangeOfSize(address, fileSize)] : []));
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

  get status(): FileStatus {
    return this.file.status;
  }

  /** Closes the file. */
  close(): void {
    this.file.close();
  }

  override stored(range: Range): readonly Range[] {
    return common([range], this.storedRanges);
  }

  /** @throws KdumpError as {@link PatchableMemory} */
  fileOffset(address: bigint, length: number): number {
    const range = rangeOfSize(address, BigInt(length));
    this.require(range);
    const [piece, ...more] = this.pieces(range);
    if (piece === undefined || more.length > 0 || piece.stored < length) {
      throw new KdumpError('input', `the file does not store the ${length} bytes at physical address ${hex(address)} in one place`, {
        file: this.path,
      });
    }
    return within({ file: this.path }, () => safePosition(piece.fileOffset));
  }

  placeOf(address: bigint): bigint | null {
    const range = rangeOfSize(address, 1n);
    return this.holds(range) ? (this.pieces(range)[0]?.fileOffset ?? null) : null;
  }

  protected readHeld(into: Uint8Array, address: bigint): void {
    let done = 0;
    for (const { fileOffset, length, stored } of this.pieces(rangeOfSize(address, BigInt(into.length)))) {
      if (stored > 0) this.file.readInto(into.subarray(done, done + stored), fileOffset);
      into.fill(0, done + stored, done + length);
      done += length;
    }
  }

  /** The extents of a range that is held, cut to it. */
  private pieces(range: Range): Piece[] {
    const pieces: Piece[] = [];
    let address = range.start;
    for (let i = firstEndingAfter(this.ranges, address); address < range.end; i += 1) {
      const extent = this.extents[i] as Extent;
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

interface Piece {
  fileOffset: bigint;
  length: number;
  stored: number;
}
