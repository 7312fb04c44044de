import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { InputFile } from '../../../src/file/input-file.js';
import { manifestSources } from '../../../src/image/pack/manifest-sources.js';
import type { ManifestDigest, ManifestSegment } from '../../../src/image/pack/manifest.js';
import { MemoryFileSystem } from '../../helpers/memory-file-system.js';
import { thrown } from '../../helpers/thrown.js';

const FILE = Uint8Array.from({ length: (3 << 20) + 7 }, (_, index) => index % 251);
const open = (path: string): InputFile => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = FILE;
  return InputFile.open(fileSystem, path);
};

const segment = (
  name: ManifestSegment['name'],
  memsz: bigint,
  contents: ManifestSegment['contents'],
  digest?: ManifestDigest,
): ManifestSegment => ({
  name,
  address: 0x1000n,
  memsz,
  contents,
  ...(digest === undefined ? {} : { digest }),
});

/** The contents of each segment, put together. */
const contentsOf = (...segments: ManifestSegment[]): Buffer[] =>
  manifestSources(segments, 'lsb', open).map((source) => {
    // Pieces are valid until the next one is asked for.
    const pieces: Buffer[] = [];
    for (const piece of source.contents()) pieces.push(Buffer.from(piece));
    const whole = Buffer.concat(pieces);
    expect(BigInt(whole.length)).toBe(source.size);
    return whole;
  });

describe('contents', () => {
  test('of a file, in pieces', () => {
    expect(contentsOf(segment('kernel', 4n << 20n, { kind: 'file', path: 'vmlinux' }))[0]?.equals(FILE)).toBe(true);
  });

  test('of a file that is larger than its segment are refused', () => {
    expect(thrown(() => contentsOf(segment('kernel', BigInt(FILE.length - 1), { kind: 'file', path: 'vmlinux' })))).toMatchObject({
      kind: 'input',
      problem: 'the file is larger than its segment',
      details: {
        file: 'vmlinux',
        segment: 'kernel',
        found: `${FILE.length} bytes`,
        expected: `at most 0x${(FILE.length - 1).toString(16)}`,
      },
    });
  });

  test('of one byte, many times', () => {
    const size = (1n << 20n) + 5n;
    expect(contentsOf(segment('initrd', size, { kind: 'fill', byte: 7, size }))[0]?.equals(Buffer.alloc(Number(size), 7))).toBe(true);
    expect(contentsOf(segment('initrd', size, { kind: 'fill', byte: 7, size: 0n }))).toEqual([Buffer.alloc(0)]);
  });
});

describe('a digest', () => {
  const digest: ManifestDigest = { tableOffset: 0x20n, digestOffset: 0x180n, covers: ['kernel', 'initrd'] };
  const kernel: ManifestSegment = { ...segment('kernel', 16n, { kind: 'hex', bytes: Uint8Array.of(1, 2, 3) }), address: 0x8000n };
  const initrd = segment('initrd', 8n, { kind: 'fill', byte: 9, size: 8n });
  const purgatory = (more: Partial<ManifestDigest> = {}, memsz = 0x1000n, bytes = Uint8Array.of(0xaa)): ManifestSegment =>
    segment('purgatory', memsz, { kind: 'hex', bytes }, { ...digest, ...more });

  test('and the table of what it covers are put into the contents, at full memsz', () => {
    const bytes = contentsOf(purgatory(), kernel, initrd)[0] ?? expect.fail('no purgatory');
    expect(bytes).toHaveLength(0x180 + 32);
    expect(bytes[0]).toBe(0xaa);
    const table = [0, 8, 16, 24, 32].map((at) => bytes.readBigUInt64LE(0x20 + at));
    expect(table).toEqual([0x8000n, 16n, 0x1000n, 8n, 0n]);
    const covered = Buffer.concat([Buffer.of(1, 2, 3), Buffer.alloc(13), Buffer.alloc(8, 9)]);
    expect(bytes.toString('hex', 0x180)).toBe(createHash('sha256').update(covered).digest('hex'));
  });

  test('in front of the table, or in longer contents', () => {
    expect(contentsOf(purgatory({ digestOffset: 0n }), kernel, initrd)[0]).toHaveLength(0x20 + 256);
    expect(contentsOf(purgatory({}, 0x1000n, new Uint8Array(0x300)), kernel, initrd)[0]).toHaveLength(0x300);
  });

  test.each<[string, Partial<ManifestDigest>, bigint, string, string]>([
    ['the table', { tableOffset: 0x100n, digestOffset: 0n }, 0x1ffn, '0x200', 'at most 0x1ff'],
    ['the digest', { digestOffset: 0x1e0n }, 0x1ffn, '0x200', 'at most 0x1ff'],
    ['what is far away', { digestOffset: 1n << 20n }, 1n << 30n, '0x100020', 'at most 0x100000'],
  ])('outside the segment is refused: %s', (_, more, memsz, found, expected) => {
    expect(thrown(() => contentsOf(purgatory(more, memsz), kernel, initrd))).toMatchObject({
      kind: 'input',
      problem: 'the region table or digest lies outside the segment',
      details: { segment: 'purgatory', found, expected },
    });
  });

  test.each<[string, ManifestDigest['covers']]>([
    ['not there', ['kernel', 'fdt']],
    ['the purgatory itself', ['purgatory']],
  ])('of a segment that is %s is refused', (_, covers) => {
    expect(thrown(() => contentsOf(purgatory({ covers }), kernel, initrd))).toMatchObject({
      kind: 'input',
      problem: 'the digest covers a segment that is not there',
      details: { segment: 'purgatory', found: covers.at(-1) },
    });
  });
});
