import { KdumpError, hex } from '../../errors.js';
import type { Architecture } from '../../arch/architecture.js';
import { architectureOf } from '../../arch/registry.js';
import { dataView } from '../../bytes/byte-order.js';
import { parseElfcorehdrHeader } from '../../elf/elfcorehdr.js';
import { ELF_HEADER_SIZE, hasElfMagic } from '../../elf/elf-header.js';
import { FDT_MAGIC } from '../../fdt/constants.js';
import { containsAddress, rangeOfSize } from '../../memory/range.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import { readDescription } from '../read-segments.js';
import { checkedSegments, segmentRange, type Segment } from '../../kexec/segment.js';
import type { KexecLog } from '../../kexec/kexec-log.js';
import type { FoundImage } from './found-image.js';
import { nameSegments, type UnnamedSegment } from './name-segments.js';

const KEXEC_LOG = 'the kexec log';

/**
 * The kdump image whose segment table is known; of several loads, the latest that is in the memory.
 *
 * @param source what the table is of, for messages
 * @throws KdumpError `input` when the memory does not hold a segment, or not exactly one of them is an elfcorehdr
 */
export function imageInTable(memory: PhysicalMemory, table: KexecLog, source: string = KEXEC_LOG): FoundImage {
  try {
    return imageOfLoad(memory, table, source);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.kind !== 'input') throw error;
    for (const other of table.others ?? []) {
      const image = attempt(() => imageOfLoad(memory, other, source));
      if (image !== undefined)
        return { ...image, provenance: [...image.provenance, 'an earlier load of the log, since the last one is not in this memory'] };
    }
    throw error;
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdumpError && error.kind === 'input') return undefined;
    throw error;
  }
}

function imageOfLoad(memory: PhysicalMemory, table: KexecLog, source: string): FoundImage {
  const unnamed = checkedSegments(table.segments.map(({ mem, memsz, bufsz }) => ({ address: mem, memsz: memsz, bufsz: bufsz })));
  // Asks for the extents only.
  for (const segment of unnamed) memory.require(segmentRange(segment));
  const description = readDescription(memory, described(memory, unnamed, source));
  const { header } = description.elfcorehdr.contents;
  const architecture = architectureOf(header.fields.machine, header.byteOrder);
  return {
    architecture,
    segments: nameSegments(memory, unnamed, description, purgatoryOf(table, architecture)),
    description,
    crashKernel: null,
    entry: table.entry ?? null,
    isComplete: true,
    provenance: [`segment names from what lies at the addresses of ${source}`],
  };
}

/** Where every image has a purgatory it is what kexec enters, with a region table or, as loaded with --no-checks, without. */
function purgatoryOf({ entry, segments }: KexecLog, { alwaysHasPurgatory }: Architecture): bigint | undefined {
  if (alwaysHasPurgatory !== true || entry === undefined) return undefined;
  return segments.find(({ mem, memsz }) => containsAddress(rangeOfSize(mem, memsz), entry))?.mem;
}

/** The elfcorehdr, and the FDT where there is one. */
function described(memory: PhysicalMemory, segments: readonly UnnamedSegment[], source: string): Segment[] {
  const headers = segments.filter((segment) => isElfcorehdr(memory, segment));
  const [elfcorehdr] = headers;
  if (elfcorehdr === undefined || headers.length > 1) {
    throw new KdumpError('input', 'the segment table does not fit this memory', {
      file: memory.path,
      found: `${headers.length} segments that begin with the header of an elfcorehdr (${segments.map(({ address }) => hex(address)).join(', ')})`,
      expected: 'one',
      ...(source === KEXEC_LOG ? { remedy: 'take the log of the load that is in this memory' } : { segment: source }),
    });
  }
  // The first one counts, as in get_fdt_index() of arch/powerpc/kexec/crash.c.
  const fdt = segments.find((segment) => firstWord(memory, segment) === FDT_MAGIC);
  return [{ ...elfcorehdr, name: 'elfcorehdr' }, ...(fdt === undefined ? [] : [{ ...fdt, name: 'fdt' } as const])];
}

function isElfcorehdr(memory: PhysicalMemory, { address, memsz }: UnnamedSegment): boolean {
  if (memsz < ELF_HEADER_SIZE) return false;
  const head = memory.read(address, ELF_HEADER_SIZE);
  if (!hasElfMagic(head)) return false;
  try {
    parseElfcorehdrHeader(head);
    return true;
  } catch {
    return false;
  }
}

function firstWord(memory: PhysicalMemory, { address, memsz }: UnnamedSegment): number {
  return memsz < 4n ? 0 : dataView(memory.read(address, 4)).getUint32(0);
}
