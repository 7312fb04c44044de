import { alignUp } from '../../bytes/align.js';
import { dataView } from '../../bytes/byte-order.js';
import { EI_CLASS, ELFCLASS64, ET_CORE } from '../../elf/constants.js';
import { intersection, rangeOfSize, sizeOf, type Range } from '../../memory/range.js';
import type { PhysicalMemory } from '../containers/physical-memory.js';

const PAGE = 0x1000;
const FDT_MAGIC = 0xd00dfeed;
const ELF_MAGIC = 0x7f454c46;

/** Page addresses whose first bytes look like the start of a segment; most of them are not part of a kdump image. */
export interface Candidates {
  readonly fdts: readonly bigint[];
  readonly elfcorehdrs: readonly bigint[];
}

/** Looks at the first bytes of every 4 KiB page of the memory: kexec segments begin on pages (sanity_check_segment_list in kernel/kexec_core.c). */
export function scanPages(memory: PhysicalMemory, only: Range | undefined): Candidates {
  const fdts: bigint[] = [];
  const elfcorehdrs: bigint[] = [];
  for (const extent of memory.extents) {
    const start = alignUp(extent.address, BigInt(PAGE));
    const end = extent.address + extent.fileSize;
    const range = start < end ? intersection({ start, end }, only ?? rangeOfSize(extent.address, extent.size)) : undefined;
    if (range === undefined) continue;
    for (const { address, bytes } of memory.chunks({ start: alignUp(range.start, BigInt(PAGE)), end: range.end })) {
      const view = dataView(bytes);
      for (let at = 0; at + 64 <= bytes.length; at += PAGE) {
        const magic = view.getUint32(at);
        if (magic === FDT_MAGIC) fdts.push(address + BigInt(at));
        else if (magic === ELF_MAGIC && isCore64(view, at)) elfcorehdrs.push(address + BigInt(at));
      }
    }
  }
  return { fdts, elfcorehdrs };
}

const WINDOW = 1 << 20;

/**
 * The bytes of `range` in order, in pieces of about 1 MiB that are valid until the next one is asked for. Each begins with the last `overlap`
 * bytes of the one before, so that nothing of up to `overlap` + 1 bytes is cut in two.
 */
export function* windows(memory: PhysicalMemory, range: Range, overlap: number): Generator<{ address: bigint; bytes: Uint8Array }> {
  const buffer = new Uint8Array(Number(sizeOf(range) < WINDOW ? sizeOf(range) : WINDOW) + overlap);
  let carried = 0;
  for (let address = range.start; address < range.end;) {
    const size = Number(range.end - address < WINDOW ? range.end - address : WINDOW);
    memory.readInto(buffer.subarray(carried, carried + size), address);
    const end = carried + size;
    yield { address: address - BigInt(carried), bytes: buffer.subarray(0, end) };
    address += BigInt(size);
    const kept = Math.min(overlap, end);
    buffer.copyWithin(0, end - kept, end);
    carried = kept;
  }
}

function isCore64(view: DataView, at: number): boolean {
  return view.getUint8(at + EI_CLASS) === ELFCLASS64 && (view.getUint16(at + 16, true) === ET_CORE || view.getUint16(at + 16) === ET_CORE);
}
