import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { coveredSegments, verifyDigest } from '../../src/check/verify-digest.js';
import type { KdumpImage } from '../../src/image/image.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { memoryOf } from '../helpers/memory-of.js';

// A kernel and an initrd of 16 bytes, and a purgatory that has the digest of both somewhere.
const KERNEL = rangeOfSize(0n, 16n);
const INITRD = rangeOfSize(16n, 16n);
const PURGATORY = rangeOfSize(32n, 64n);

function imageWith(change: (bytes: Uint8Array) => void = () => undefined, regions = [KERNEL, INITRD]): KdumpImage {
  const bytes = Uint8Array.from({ length: 96 }, (_, index) => index);
  bytes.set(createHash('sha256').update(bytes.subarray(0, 32)).digest(), 45);
  change(bytes);
  const segments = (['kernel', 'initrd', 'purgatory'] as const).map((name, index) => ({
    name,
    address: [KERNEL, INITRD, PURGATORY][index]?.start,
    memsz: name === 'purgatory' ? 64n : 16n,
  }));
  return { memory: memoryOf(bytes), segments, purgatory: { segment: segments[2], regions: { regions } } } as unknown as KdumpImage;
}

test('the purgatory accepts the image as long as no covered byte differs', () => {
  expect(verifyDigest(imageWith())).toBe('match');
  expect(verifyDigest(imageWith((bytes) => bytes.fill(0, 31, 32)))).toBe('mismatch');
  expect(verifyDigest(imageWith((bytes) => bytes.fill(0, 60, 61)))).toBe('mismatch');
  // What is not covered may be anything.
  expect(verifyDigest(imageWith((bytes) => bytes.fill(0, 90, 91)))).toBe('match');
});

test('in the order of the region table', () => {
  expect(verifyDigest(imageWith(() => undefined, [INITRD, KERNEL]))).toBe('mismatch');
});

test('there is no digest without a purgatory, or a region table in it', () => {
  const image = imageWith();
  expect(verifyDigest({ ...image, purgatory: null })).toBe('absent');
  expect(verifyDigest({ ...image, purgatory: { ...image.purgatory, regions: null } } as KdumpImage)).toBe('absent');
});

test('what it covers, in the order of the region table; regions that are no segments have no name', () => {
  expect(coveredSegments(imageWith(() => undefined, [INITRD, rangeOfSize(8n, 8n), KERNEL]))).toEqual(['initrd', 'kernel']);
  const image = imageWith();
  expect(coveredSegments({ ...image, purgatory: null })).toEqual([]);
  expect(coveredSegments({ ...image, purgatory: { ...image.purgatory, regions: null } } as KdumpImage)).toEqual([]);
});
