import type { PhysicalMemory } from './physical-memory.js';

/** Address of the first byte from `start` on that is not zero, at most `limit`. */
export function zeroRun(memory: PhysicalMemory, start: bigint, limit: bigint): bigint {
  if (start >= limit) return limit;
  for (const { address, bytes } of memory.chunks({ start, end: limit })) {
    const found = bytes.findIndex((byte) => byte !== 0);
    if (found >= 0) return address + BigInt(found);
  }
  return limit;
}
