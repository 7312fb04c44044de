import { alignUp } from '../../bytes/align.js';
import { dataView } from '../../bytes/byte-order.js';
import { EI_CLASS, ELF_MAGIC, ELFCLASS64, ET_CORE } from '../../elf/constants.js';
import { FDT_MAGIC } from '../../fdt/constants.js';
import { ADDRESS_SPACE_END, SMALLEST_PAGE, sizeOf, type Range } from '../../memory/range.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import { SETUP_HEADER_AT, SETUP_HEADER_MAGIC, bootParametersAt, type BootParameters } from './boot-parameters.js';
import { tooManyHeaders } from './search.js';
import { isVmcoreinfo } from '../../kernel/vmcoreinfo.js';

const MAX_SETUP_HEADERS = 256;
/** Pages of one kind that are kept. Whoever filled the memory decides how many there are. */
const MAX_CANDIDATES = 1 << 14;
const PAGE = Number(SMALLEST_PAGE);
const ELF_MAGIC_WORD = dataView(ELF_MAGIC).getUint32(0);

/** Page addresses whose first bytes look like the start of a segment; most of them are not part of a kdump image. */
export interface Candidates {
  readonly fdts: readonly bigint[];
  readonly elfcorehdrs: readonly bigint[];
  /** Of capture kernels of x86. */
  readonly bootParameters: readonly BootParameters[];
  readonly vmcoreinfos: readonly bigint[];
}

/**
 * Looks at the first bytes of every 4 KiB page of the memory: kexec segments begin on pages (sanity_check_segment_list in kernel/kexec_core.c).
 *
 * @throws KdumpError `input` when there are more candidates than can be looked at
 */
export function scanPages(memory: PhysicalMemory, only: Range | undefined): Candidates {
  const fdts: bigint[] = [];
  const elfcorehdrs: bigint[] = [];
  const setupHeaders: bigint[] = [];
  const vmcoreinfos: bigint[] = [];
  const keep = (kind: bigint[], at: bigint): void => {
    if (kind.push(at) > MAX_CANDIDATES) throw tooManyHeaders(memory.path);
  };
  for (const { start: first, end } of memory.stored(only ?? { start: 0n, end: ADDRESS_SPACE_END })) {
    const start = alignUp(first, SMALLEST_PAGE);
    if (start >= end) continue;
    for (const { address, bytes } of memory.chunks({ start, end })) {
      const view = dataView(bytes);
      for (let at = 0; at + 64 <= bytes.length; at += PAGE) {
        const magic = view.getUint32(at);
        if (magic === FDT_MAGIC) keep(fdts, address + BigInt(at));
        else if (magic === ELF_MAGIC_WORD && isCore64(view, at)) keep(elfcorehdrs, address + BigInt(at));
        else if ((magic === 0x0b000000 || magic === 0x0b) && isVmcoreinfo(bytes, at)) keep(vmcoreinfos, address + BigInt(at));
        if (at + SETUP_HEADER_AT + 4 <= bytes.length && view.getUint32(at + SETUP_HEADER_AT, true) === SETUP_HEADER_MAGIC)
          keep(setupHeaders, address + BigInt(at));
      }
    }
  }
  // The page cache has many kernels; boot parameters are few.
  const bootParameters = setupHeaders.slice(0, MAX_SETUP_HEADERS).flatMap((address) => bootParametersAt(memory, address) ?? []);
  return { fdts, elfcorehdrs, bootParameters, vmcoreinfos };
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
