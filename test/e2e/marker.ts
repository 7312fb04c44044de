import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type { Dimm, Guest } from './guest.js';

/** A text that only the guest wrote, and where it came to lie. */
export interface Marker {
  readonly text: string;
  readonly address: bigint;
}

const MIB = 2 ** 20;
const STEP = 64;

/**
 * Fills a file in the guest's memory with a new text until some of it lies in the memory that was added. Where the guest puts it is up to its
 * kernel; that it lies there is seen from outside, in the file that is this memory.
 */
export async function markMemory(guest: Guest, dimm: Dimm): Promise<Marker> {
  const text = `marker-${randomBytes(12).toString('hex')}`;
  // Stays as it is: it may lie in the memory that was added itself, and be what is found there.
  const block = `/tmp/block-${dimm.id}`;
  await guest.console.run(`yes ${text} | head -c ${MIB} > ${block}`);
  const free = Number((await guest.console.run("awk '/MemFree/ { print $2 }' /proc/meminfo")).trim()) / 1024;
  for (let filled = 0; filled + 2 * STEP < free; filled += STEP) {
    await guest.console.run(`for i in $(seq ${STEP}); do cat ${block}; done >> /tmp/marked-${dimm.id}`);
    const offset = find(dimm.file, text);
    if (offset !== undefined) return { text, address: dimm.start + BigInt(offset) };
  }
  throw new Error(`${Math.round(free)} MiB of the marker, and none of it in ${dimm.id}`);
}

/**
 * Where a whole MiB is full of the text, so that it is a part of the guest's file: buffers of the programs that wrote it hold the text too,
 * but less of it, and they are soon something else.
 */
function find(file: string, text: string): number | undefined {
  const descriptor = openSync(file, 'r');
  try {
    const piece = Buffer.alloc(MIB);
    // Pages are in any order, so one text of each is cut.
    const most = MIB / (text.length + 1);
    for (let offset = 0; ; offset += piece.length) {
      if (readSync(descriptor, piece, 0, piece.length, offset) === 0) return undefined;
      const at = piece.indexOf(text);
      if (at >= 0 && piece.toString('latin1').split(text).length > most * 0.9) return offset + at;
    }
  } finally {
    closeSync(descriptor);
  }
}
