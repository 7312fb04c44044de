import { KdumpError } from '../../errors.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import { sizeOf, type Range } from '../../memory/range.js';
import type { PhysicalMemory } from '../containers/physical-memory.js';
import { readElfcorehdr, statedElfcorehdrSize } from '../read-segments.js';

/** Bytes of device trees and of elfcorehdrs looked at in all; memory made of headers would take for ever otherwise. */
const MAX_FDTS = 128 << 20;
const MAX_ELFCOREHDRS = 16 << 20;
/** How often all of the memory may be looked through for region tables, by whatever many candidates. */
const MAX_PASSES = 3n;

/** A search for images in `memory`, and what it may still cost: whoever filled the memory decides how many candidates there are. */
export class Search {
  isExhausted = false;
  private readonly left: Record<'fdts' | 'elfcorehdrs' | 'tables', bigint>;
  /** Candidates that come one after another name the same. */
  private last: { address: bigint; contents: Elfcorehdr } | undefined;

  constructor(
    readonly memory: PhysicalMemory,
    only: Range | undefined,
  ) {
    const all = memory.extents.reduce((sum, { size }) => sum + size, 0n);
    this.left = {
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

  /** @param bytes that are about to be looked at. @throws KdumpError `input` when that is too many */
  spend(what: 'fdts' | 'elfcorehdrs' | 'tables', bytes: bigint | number): void {
    this.left[what] -= BigInt(bytes);
    if (this.left[what] >= 0n) return;
    this.isExhausted = true;
    throw new KdumpError('input', 'too much of this memory looks like headers of a kdump image', {
      file: this.memory.path,
      remedy: 'say where the image is with --crash-kernel or --kexec-log',
    });
  }
}
