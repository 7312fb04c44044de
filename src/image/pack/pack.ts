import type { Architecture } from '../../arch/architecture.js';
import { safePosition } from '../../bytes/position.js';
import type { FileSystem } from '../../file/file-system.js';
import { InputFile } from '../../file/input-file.js';
import { makeFile, type Readers } from '../../file/new-file.js';
import type { KdumpImage } from '../image.js';
import { readImage } from '../open.js';
import { packedLayout } from '../../container/packed-layout.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import type { Segment, SegmentName } from '../../kexec/segment.js';

/** A segment to be stored: where it belongs, and `size` bytes of contents, asked for in order. */
export interface SegmentSource {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly memsz: bigint;
  /** `bufsz`: bytes of contents; the rest of memsz is zero. */
  readonly size: bigint;
  /** Who may read what it is made from; nothing for contents that this program makes. */
  readonly from?: Readers;
  /** Consecutive pieces of the contents, `size` bytes together; each is valid until the next is asked for. */
  contents(): Iterable<Uint8Array>;
}

/**
 * Writes a packed image. The same segments give the same bytes. Nobody but its owner may read it who may not read what all segments are made from.
 *
 * @param look is shown the image before it has its name; what it throws is a failure
 * @throws KdumpError `input` when segments overlap or have more bytes than room, or the result would be no kdump image; `io` when `path` exists and `overwrite` is not set
 */
export function packImage(
  fileSystem: FileSystem,
  path: string,
  image: { architecture: Architecture; entry: bigint | null; segments: readonly SegmentSource[] },
  overwrite = false,
  look?: (made: KdumpImage) => void,
): void {
  const layout = packedLayout(
    image.architecture,
    image.entry,
    image.segments.map(({ name, address, memsz, size }) => ({ name, address, memsz, bufsz: size })),
  );
  const from = image.segments.flatMap((segment) => segment.from ?? []);
  makeFile(fileSystem, path, overwrite, from, (descriptor) => {
    fileSystem.write(descriptor, layout.head, 0);
    for (const { address, fileOffset } of layout.segments) {
      let position = fileOffset;
      for (const piece of image.segments.find((segment) => segment.address === address)?.contents() ?? []) {
        fileSystem.write(descriptor, piece, position);
        position += piece.length;
      }
    }
    fileSystem.write(descriptor, layout.tail, layout.tailOffset);
    // What cannot be opened as an image is not left behind as one.
    const made = readImage(new InputFile(fileSystem, path, descriptor, fileSystem.status(descriptor).size), {});
    look?.(made);
  });
}

/** The segments of an open image, as sources for packing or extracting: the elfcorehdr and FDT whole, the others as they were loaded. */
export function segmentSources({ memory, segments }: KdumpImage): SegmentSource[] {
  const from = memory.status;
  return segments.map((segment) => {
    const size = storedSize(memory, segment);
    return {
      name: segment.name,
      address: segment.address,
      memsz: segment.memsz,
      size,
      from,
      *contents() {
        if (size === 0n) return;
        for (const { bytes } of memory.chunks({ start: segment.address, end: segment.address + size })) yield bytes;
      },
    };
  });
}

function storedSize(memory: PhysicalMemory, { name, address, memsz, bufsz }: Segment): bigint {
  if (name === 'elfcorehdr' || name === 'fdt') return memsz;
  return bufsz ?? sizeWithoutTrailingZeros(memory, address, memsz);
}

const CHUNK = 1n << 20n;

function sizeWithoutTrailingZeros(memory: PhysicalMemory, address: bigint, size: bigint): bigint {
  for (let end = size; end > 0n;) {
    const start = end > CHUNK ? end - CHUNK : 0n;
    const bytes = memory.read(address + start, safePosition(end - start));
    const last = bytes.findLastIndex((byte) => byte !== 0);
    if (last >= 0) return start + BigInt(last + 1);
    end = start;
  }
  return 0n;
}

/** Contents that are in memory already. */
export function sourceOfBytes(segment: Pick<SegmentSource, 'name' | 'address' | 'memsz' | 'from'>, bytes: Uint8Array): SegmentSource {
  return { ...segment, size: BigInt(bytes.length), contents: () => [bytes] };
}
