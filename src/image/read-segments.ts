import { KdumpError, within } from '../errors.js';
import { dataView } from '../bytes/byte-order.js';
import { elfcorehdrSize, parseElfcorehdrHeader, parseElfcorehdrIn, type Elfcorehdr } from '../elf/elfcorehdr.js';
import { ELF_HEADER_SIZE } from '../elf/elf-header.js';
import { parseFdt, type Fdt } from '../fdt/fdt.js';
import { FDT_HEADER_SIZE, probeFdtHeader } from '../fdt/header.js';
import { rangeOfSize } from '../memory/range.js';
import type { PhysicalMemory } from '../memory-source/physical-memory.js';
import { MAX_DESCRIPTION, type Segment } from '../kexec/segment.js';

const PHNUM_OFFSET = 56;

/** The segments that describe the machine: where they are and what they hold. */
export interface Description {
  readonly elfcorehdr: { readonly address: bigint; readonly contents: Elfcorehdr };
  readonly fdt: { readonly address: bigint; readonly tree: Fdt } | null;
}

/** What those of `segments` hold that describe the machine. @throws KdumpError `input` when there is no elfcorehdr, or one is damaged */
export function readDescription(memory: PhysicalMemory, segments: readonly Segment[]): Description {
  const elfcorehdr = segments.find(({ name }) => name === 'elfcorehdr');
  const fdt = segments.find(({ name }) => name === 'fdt');
  if (elfcorehdr === undefined) throw new KdumpError('input', 'the image has no elfcorehdr segment');
  return {
    elfcorehdr: { address: elfcorehdr.address, contents: inSegment(memory, elfcorehdr, readElfcorehdr) },
    fdt: fdt === undefined ? null : { address: fdt.address, tree: inSegment(memory, fdt, readFdt) },
  };
}

function inSegment<T>(
  memory: PhysicalMemory,
  { name, address, memsz }: Segment,
  read: (memory: PhysicalMemory, address: bigint, room: bigint) => T,
): T {
  return within({ segment: name }, () => read(memory, address, memsz));
}

/** The elfcorehdr in the `room` bytes from `address`: only its header and program headers are read. @throws KdumpError `input` */
export function readElfcorehdr(memory: PhysicalMemory, address: bigint, room: bigint = 1n << 32n): Elfcorehdr {
  const { fields } = parseElfcorehdrHeader(memory.read(address, room < ELF_HEADER_SIZE ? Number(room) : ELF_HEADER_SIZE));
  const size = elfcorehdrSize(fields.phnum);
  return parseElfcorehdrIn(memory.read(address, room < size ? Number(room) : size));
}

/** The FDT in the `room` bytes from `address`: as much as its totalsize is read. @throws KdumpError `input` */
export function readFdt(memory: PhysicalMemory, address: bigint, room: bigint = MAX_DESCRIPTION): Fdt {
  const head = memory.read(address, room < FDT_HEADER_SIZE ? Number(room) : FDT_HEADER_SIZE);
  const header = probeFdtHeader(head);
  // An implausible header gets its error from the parser.
  if (header === undefined) return parseFdt(head);
  if (header.totalSize > room || header.totalSize > MAX_DESCRIPTION) {
    throw new KdumpError('input', 'totalsize passes the end of the segment', {
      segment: 'fdt',
      offset: 4,
      found: String(header.totalSize),
      expected: `at most ${room < MAX_DESCRIPTION ? room : MAX_DESCRIPTION}`,
    });
  }
  return parseFdt(memory.read(address, header.totalSize));
}

/** Bytes that {@link readFdt} would read at `address`, going by what its header says. */
export function statedFdtSize(memory: PhysicalMemory, address: bigint): number {
  return memory.holds(rangeOfSize(address, BigInt(FDT_HEADER_SIZE)))
    ? (probeFdtHeader(memory.read(address, FDT_HEADER_SIZE))?.totalSize ?? 0)
    : 0;
}

/** Bytes that {@link readElfcorehdr} would read at `address`, whatever its byte order. */
export function statedElfcorehdrSize(memory: PhysicalMemory, address: bigint): number {
  if (!memory.holds(rangeOfSize(address, BigInt(ELF_HEADER_SIZE)))) return 0;
  const count = dataView(memory.read(address, ELF_HEADER_SIZE));
  return elfcorehdrSize(Math.max(count.getUint16(PHNUM_OFFSET, true), count.getUint16(PHNUM_OFFSET)));
}
