import { KdumpError } from '../../errors.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import type { Fdt } from '../../fdt/fdt.js';
import type { Contradicted } from '../../kexec/region-table.js';
import { sizeOf, type Range } from '../../memory/range.js';
import { totalSize } from '../../memory/range-set.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import { readElfcorehdr, readFdt, statedElfcorehdrSize, statedFdtSize } from '../read-segments.js';

/** Bytes of device trees and of elfcorehdrs looked at in all; memory made of headers would take for ever otherwise. */
const MAX_FDTS = 128 << 20;
const MAX_ELFCOREHDRS = 16 << 20;
/** A header costs time however little it says there is behind it. */
const LEAST: Record<'fdts' | 'elfcorehdrs' | 'tables', number> = { fdts: 1 << 13, elfcorehdrs: 1 << 12, tables: 0 };
/** How often all of the memory may be looked through for region tables, by whatever many candidates: the second image ends the search. */
const MAX_PASSES = 2n;

/** A search for images in `memory`, and what it may still cost: whoever filled the memory decides how many candidates there are. */
export class Search {
  isExhausted = false;
  /** Of region tables, in all that is looked through for them. */
  readonly contradicted: Contradicted;
  private readonly left: Record<keyof typeof LEAST, bigint>;
  /** Candidates that come one after another name the same. */
  private last: { address: bigint; contents: Elfcorehdr } | undefined;

  readonly memory: PhysicalMemory;

  constructor(
    memory: PhysicalMemory,
    only: Range | undefined,
    /** A search at other addresses of which this one is part: it spends the same. */
    shared?: Search,
  ) {
    this.memory = memory;
    const all = totalSize(memory.ranges);
    this.contradicted = shared?.contradicted ?? { count: 0 };
    this.left = shared?.left ?? {
      fdts: BigInt(MAX_FDTS),
      elfcorehdrs: BigInt(MAX_ELFCOREHDRS),
      tables: MAX_PASSES * (only === undefined || sizeOf(only) > all ? all : sizeOf(only)),
    };
  }

  /** The elfcorehdr at `address`. @throws KdumpError `input` when there is none, or the search has cost enough */
  elfcorehdrAt(address: bigint): Elfcorehdr {
    if (this.last?.address !== address) {
      this.spend('elfcorehdrs', statedElfcorehdrSize(this.memory, address));
      this.last = { address, contents: readElfcorehdr(this.memory, address) };
    }
    return this.last.contents;
  }

  /** The device tree at `address`. @throws KdumpError `input` when there is none, or the search has cost enough */
  fdtAt(address: bigint): Fdt {
    this.spend('fdts', statedFdtSize(this.memory, address));
    return readFdt(this.memory, address);
  }

  /** @param bytes that are about to be looked at. @throws KdumpError `input` when that is too many */
  spend(what: keyof typeof LEAST, bytes: bigint | number): void {
    this.left[what] -= BigInt(bytes > LEAST[what] ? bytes : LEAST[what]);
    if (this.left[what] >= 0n) return;
    this.isExhausted = true;
    throw tooManyHeaders(this.memory.path);
  }
}

/** The error for memory of which too much would have to be looked at. */
export function tooManyHeaders(file: string): KdumpError {
  return new KdumpError('input', 'too much of this memory looks like headers of a kdump image', {
    file,
    remedy: 'say where the image is with --crash-kernel or --kexec-log',
  });
}
