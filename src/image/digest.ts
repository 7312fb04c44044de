import { createHash, type Hash } from 'node:crypto';
import { equalBytes } from '../bytes/compare.js';
import { overlaps, rangeOfSize, type Range } from '../memory/range.js';
import type { PhysicalMemory } from '../memory-source/physical-memory.js';

export const DIGEST_SIZE = 32;

/** SHA-256 of `bytes`, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** New contents for the bytes at a physical address. */
export interface MemoryPatch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/**
 * SHA-256 over `regions` in their order, as the purgatory computes it (verify_sha256_digest in purgatory.c), for the memory as it is and as it
 * is once `patches` are made; the memory is read once for both.
 */
export function regionDigests(
  memory: PhysicalMemory,
  regions: readonly Range[],
  patches: readonly MemoryPatch[],
): { before: Uint8Array; after: Uint8Array } {
  const before = createHash('sha256');
  // Until the first patched byte both are the same hash.
  let after: Hash | undefined;
  for (const region of regions) {
    for (const { address, bytes } of memory.chunks(region)) {
      const chunk = rangeOfSize(address, BigInt(bytes.length));
      const here = patches.filter((patch) => overlaps(chunk, rangeOfSize(patch.address, BigInt(patch.bytes.length))));
      if (here.length > 0) after ??= before.copy();
      before.update(bytes);
      if (after === undefined) continue;
      for (const patch of here) overlay(bytes, address, patch);
      after.update(bytes);
    }
  }
  const unchanged = after === undefined;
  const digest = new Uint8Array(before.digest());
  return { before: digest, after: unchanged ? digest : new Uint8Array((after as Hash).digest()) };
}

function overlay(bytes: Uint8Array, address: bigint, patch: MemoryPatch): void {
  const shift = Number(patch.address - address);
  const from = Math.max(0, -shift);
  const to = Math.min(patch.bytes.length, bytes.length - shift);
  bytes.set(patch.bytes.subarray(from, to), Math.max(0, shift));
}

/** Offset of `digest` in the purgatory segment. Where it lies there differs between purgatories, so it is looked for by value. */
export function findDigest(purgatory: Uint8Array, digest: Uint8Array): number | undefined {
  const bytes = Buffer.from(purgatory.buffer, purgatory.byteOffset, purgatory.byteLength);
  const at = bytes.indexOf(digest);
  return at >= 0 && equalBytes(bytes.subarray(at, at + DIGEST_SIZE), digest) ? at : undefined;
}
