import { architectureNamed } from '../../arch/registry.js';
import type { Architecture } from '../../arch/architecture.js';
import { KdumpError } from '../../errors.js';
import { excerpt } from '../../text/excerpt.js';
import { at, inside, readArray, readInteger, readObject, wrongValue } from '../../text/json-fields.js';
import { parseNumber, parseSize } from '../../text/numbers.js';
import { parseJsonDocuments, type JsonValue } from '../../text/strict-json.js';
import { MAX_SEGMENTS, SEGMENT_NAMES, segmentNameOf, type SegmentName } from '../../kexec/segment.js';

/** The readable source of an image: what `pack --manifest` takes and `extract --manifest` writes (docs/manifest.md). */
export interface Manifest {
  readonly architecture: Architecture;
  readonly entry: bigint | null;
  readonly segments: readonly ManifestSegment[];
}

/** A segment of a {@link Manifest}: `address` and `memsz` are `mem` and `memsz`, in bytes. */
export interface ManifestSegment {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly memsz: bigint;
  readonly contents: ManifestContents;
  /** A region table and digest to be put into the contents, once all others are known. */
  readonly digest?: ManifestDigest;
}

/** Where the contents of a segment come from. Sizes are bytes; the rest of `memsz` is zero. */
export type ManifestContents =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'fill'; readonly byte: number; readonly size: bigint }
  | { readonly kind: 'hex'; readonly bytes: Uint8Array };

/** Where the region table and digest of a purgatory go, and what they cover. */
export interface ManifestDigest {
  /** Offsets inside the segment. */
  readonly tableOffset: bigint;
  readonly digestOffset: bigint;
  /** Names of the covered segments, in the order they are hashed. */
  readonly covers: readonly SegmentName[];
}

export const MAX_MANIFEST: number = 16 << 20;
/** `memsz` in manifests of version 0.1. */
const FORMER_MEMSZ = 'memorySize';

/** @throws KdumpError `usage`, with the place as its segment: `segments[2].address` */
export function parseManifest(text: string): Manifest {
  const [document, ...more] = parseJsonDocuments(text);
  if (document === undefined || more.length > 0)
    throw at('', 'not one JSON document', { found: excerpt(text.trim()), expected: 'a manifest' });
  const fields = readObject(document.value, '', ['architecture', 'entry', 'segments']);
  const architecture = fields.get('architecture');
  if (typeof architecture !== 'string') throw wrongValue(architecture, 'architecture', 'the name of an architecture');
  const entry = fields.get('entry');
  const segments = readArray(fields.get('segments'), 'segments');
  if (segments.length > MAX_SEGMENTS)
    throw at('segments', 'too many segments', { found: String(segments.length), expected: `at most ${MAX_SEGMENTS}` });
  return {
    architecture: architectureNamed(architecture),
    entry: entry === undefined || entry === null ? null : readInteger(entry, 'entry', parseNumber),
    segments: segments.map((segment, index) => parseSegment(segment, `segments[${index}]`)),
  };
}

function parseSegment(value: JsonValue, place: string): ManifestSegment {
  const fields = readObject(value, place, ['name', 'address', 'memsz', FORMER_MEMSZ, 'file', 'fill', 'hex', 'size', 'digest']);
  if (fields.has('memsz') && fields.has(FORMER_MEMSZ)) throw at(place, `memsz and ${FORMER_MEMSZ} are the same`, { expected: 'memsz' });
  const memsz = readInteger(fields.get('memsz') ?? fields.get(FORMER_MEMSZ), inside(place, 'memsz'), parseSize);
  if (memsz === 0n) throw at(inside(place, 'memsz'), 'segment is empty', { found: '0', expected: 'at least one byte' });
  const digest = fields.get('digest');
  return {
    name: parseName(fields.get('name'), inside(place, 'name')),
    address: readInteger(fields.get('address'), inside(place, 'address'), parseNumber),
    memsz,
    contents: parseContents(fields, place, memsz),
    ...(digest === undefined ? {} : { digest: parseDigest(digest, inside(place, 'digest')) }),
  };
}

function parseName(value: JsonValue | undefined, place: string): SegmentName {
  const name = segmentNameOf(value);
  if (name === undefined) throw wrongValue(value, place, SEGMENT_NAMES.join(', '));
  return name;
}

function parseContents(fields: ReadonlyMap<string, JsonValue>, place: string, memsz: bigint): ManifestContents {
  const [file, fill, hex, size] = [fields.get('file'), fields.get('fill'), fields.get('hex'), fields.get('size')];
  if ([file, fill, hex].filter((each) => each !== undefined).length !== 1) {
    throw at(place, 'the contents are not given once', { expected: 'one of file, fill and hex' });
  }
  if (size !== undefined && fill === undefined)
    throw at(inside(place, 'size'), 'size goes with fill', { expected: 'no size, the contents have one' });
  if (file !== undefined) {
    if (typeof file !== 'string' || file === '') throw wrongValue(file, inside(place, 'file'), 'a path');
    return { kind: 'file', path: file };
  }
  if (fill !== undefined) {
    const byte = readInteger(fill, inside(place, 'fill'), parseNumber);
    if (byte > 0xff) throw wrongValue(fill, inside(place, 'fill'), 'a byte, 0 to 255');
    const stored = size === undefined ? (byte === 0n ? 0n : memsz) : readInteger(size, inside(place, 'size'), parseSize);
    return { kind: 'fill', byte: Number(byte), size: stored };
  }
  if (typeof hex !== 'string' || !isHexBytes(hex)) throw wrongValue(hex, inside(place, 'hex'), 'bytes as pairs of hexadecimal digits');
  return { kind: 'hex', bytes: Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex')) };
}

/** Pairs of digits with white space between them or not; a pattern of pairs would recurse once a pair. */
function isHexBytes(text: string): boolean {
  const digits = text.replace(/\s+/g, '');
  return digits.length % 2 === 0 && !/[^0-9a-fA-F]/.test(digits);
}

function parseDigest(value: JsonValue, place: string): ManifestDigest {
  const fields = readObject(value, place, ['tableOffset', 'digestOffset', 'covers']);
  return {
    tableOffset: readInteger(fields.get('tableOffset'), inside(place, 'tableOffset'), parseNumber),
    digestOffset: readInteger(fields.get('digestOffset'), inside(place, 'digestOffset'), parseNumber),
    covers: readArray(fields.get('covers'), inside(place, 'covers')).map((name, index) =>
      parseName(name, inside(place, `covers[${index}]`)),
    ),
  };
}

/** What `--segment name=file@addr[+memsz]` says. @throws KdumpError `usage` */
export function parseSegmentOperand(text: string): { name: SegmentName; path: string; address: bigint; memsz: bigint | null } {
  const match = /^([a-z-]+)=(.+)@([^@+]+)(?:\+([^@+]+))?$/s.exec(text);
  const name = segmentNameOf(match?.[1]);
  if (match?.[2] === undefined || match[3] === undefined || name === undefined) {
    throw new KdumpError('usage', 'not a segment', {
      found: excerpt(text),
      expected: `<name>=<file>@<addr>[+<memsz>], the name one of ${SEGMENT_NAMES.join(', ')}`,
    });
  }
  return { name, path: match[2], address: parseNumber(match[3]), memsz: match[4] === undefined ? null : parseSize(match[4]) };
}
