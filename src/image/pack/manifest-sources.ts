import { createHash } from 'node:crypto';
import { KdumpError, hex } from '../../errors.js';
import { dataView, type ByteOrder } from '../../bytes/byte-order.js';
import { safePosition } from '../../bytes/position.js';
import type { InputFile } from '../../file/input-file.js';
import type { Readers } from '../../file/new-file.js';
import { DIGEST_SIZE } from '../digest.js';
import type { ManifestContents, ManifestDigest, ManifestSegment } from './manifest.js';
import { sourceOfBytes, type SegmentSource } from './pack.js';
import { REGION_TABLE_SIZE } from '../../kexec/region-table.js';
import { MAX_PURGATORY } from '../../kexec/segment.js';

const CHUNK = 1 << 20;

/**
 * The segments of a manifest, ready to be packed; digests are computed over the others.
 *
 * @param from who may read the manifest
 * @param open opens a file named in the manifest; the caller closes it once the image is packed
 * @throws KdumpError `input` when a file is larger than its segment, or a digest covers a segment that is not there
 */
export function manifestSources(
  segments: readonly ManifestSegment[],
  byteOrder: ByteOrder,
  open: (path: string) => InputFile,
  from?: Readers,
): SegmentSource[] {
  const plain = segments.map((segment) => sourceOf(segment, open, from));
  return plain.map((source, index) => {
    const digest = segments[index]?.digest;
    return digest === undefined ? source : withDigest(source, digest, plain, byteOrder);
  });
}

function sourceOf(
  { name, address, memsz, contents }: ManifestSegment,
  open: (path: string) => InputFile,
  from: Readers | undefined,
): SegmentSource {
  const segment = { name, address, memsz, ...(from === undefined ? {} : { from }) };
  if (contents.kind === 'hex') return sourceOfBytes(segment, contents.bytes);
  if (contents.kind === 'file') return sourceOfFile(segment, open(contents.path));
  return { ...segment, size: contents.size, contents: () => filled(contents) };
}

export function sourceOfFile(segment: Pick<SegmentSource, 'name' | 'address' | 'memsz'>, file: InputFile): SegmentSource {
  if (file.size > segment.memsz) {
    throw new KdumpError('input', 'the file is larger than its segment', {
      file: file.path,
      segment: segment.name,
      found: `${file.size} bytes`,
      expected: `at most ${hex(segment.memsz)}`,
    });
  }
  return {
    ...segment,
    size: file.size,
    from: file.status,
    *contents() {
      for (let at = 0n; at < file.size; at += BigInt(CHUNK)) yield file.read(at, file.size - at < CHUNK ? Number(file.size - at) : CHUNK);
    },
  };
}

function* filled({ byte, size }: Extract<ManifestContents, { kind: 'fill' }>): Generator<Uint8Array> {
  const chunk = new Uint8Array(CHUNK).fill(byte);
  for (let left = size; left > 0n; left -= BigInt(CHUNK)) yield left < CHUNK ? chunk.subarray(0, Number(left)) : chunk;
}

/** The table and digest of a purgatory, as kexec_calculate_store_digests() of kernel/kexec_file.c stores them. */
function withDigest(source: SegmentSource, digest: ManifestDigest, all: readonly SegmentSource[], byteOrder: ByteOrder): SegmentSource {
  const end = [digest.tableOffset + BigInt(REGION_TABLE_SIZE), digest.digestOffset + BigInt(DIGEST_SIZE)].reduce((a, b) => (a > b ? a : b));
  const size = source.size > end ? source.size : end;
  if (size > source.memsz || size > MAX_PURGATORY) {
    throw new KdumpError('input', 'the region table or digest lies outside the segment', {
      segment: source.name,
      found: hex(end),
      expected: `at most ${hex(source.memsz < MAX_PURGATORY ? source.memsz : MAX_PURGATORY)}`,
    });
  }
  const bytes = new Uint8Array(safePosition(size));
  let position = 0;
  for (const piece of source.contents()) {
    bytes.set(piece, position);
    position += piece.length;
  }
  const view = dataView(bytes);
  const hash = createHash('sha256');
  digest.covers.forEach((name, index) => {
    const covered = all.find((each) => each.name === name);
    if (covered === undefined || covered === source) {
      throw new KdumpError('input', 'the digest covers a segment that is not there', { segment: source.name, found: name });
    }
    const at = Number(digest.tableOffset) + 16 * index;
    view.setBigUint64(at, covered.address, byteOrder === 'lsb');
    view.setBigUint64(at + 8, covered.memsz, byteOrder === 'lsb');
    for (const piece of covered.contents()) hash.update(piece);
    for (const piece of filled({ kind: 'fill', byte: 0, size: covered.memsz - covered.size })) hash.update(piece);
  });
  bytes.set(hash.digest(), Number(digest.digestOffset));
  return sourceOfBytes(source, bytes);
}
