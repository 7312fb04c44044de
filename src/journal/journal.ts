import { createHash } from 'node:crypto';
import { KdumpError } from '../errors.js';
import { equalBytes } from '../bytes/compare.js';
import { dataView } from '../bytes/byte-order.js';
import { RecordFormat } from '../bytes/record.js';

/**
 * The rollback journal of a patch (docs/journal.md): what the image had and what it is to have, so that an interrupted patch can be rolled back or
 * finished. An undo file has the same form.
 */
export interface Journal {
  readonly kind: 'journal' | 'undo';
  /** Somebody maps the image, such as a running guest: records are exact bytes, and a restart of the host ends their meaning. */
  readonly live: boolean;
  /** Random, 16 bytes. */
  readonly transaction: Uint8Array;
  /** Which file the journal is for. */
  readonly image: ImageIdentity;
  /** /proc/sys/kernel/random/boot_id when it was written. */
  readonly bootId: string;
  /** Disjoint, ascending, inside the image. */
  readonly records: readonly JournalRecord[];
  /** Positions of the bytes that are zero while the patch is under way, so that no reader takes a half-written header for a whole one. */
  readonly markers: readonly number[];
}

export interface ImageIdentity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: bigint;
  readonly birthTime: bigint;
}

/** Bytes at one position of the image file, both of one length. */
export interface JournalRecord {
  readonly position: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Twice what the largest patch changes, which is every byte of a device tree of thousands of CPUs; held in memory whole. */
export const MAX_JOURNAL: number = 24 << 20;
const MAX_RECORDS = 1 << 16;
const MAX_MARKERS = 16;
const VERSION = 1;

const MAGIC = Buffer.from('KDHPJNL\x01', 'latin1');
const HEADER_SIZE = 4096;
const TRAILER_SIZE = 64;
const DIGEST_OFFSET = 128;
const DIGEST_SIZE = 32;
const TRANSACTION_OFFSET = 96;
const BOOT_ID_OFFSET = 160;
const BOOT_ID_SIZE = 36;

const LIVE = 1;
const UNDO = 2;

/** Behind the 8 bytes of magic; all fields least significant byte first. */
const headerFormat = new RecordFormat([
  ['version', 4],
  ['flags', 4],
  ['totalSize', 8],
  ['recordCount', 4],
  ['markerCount', 4],
  ['device', 8],
  ['inode', 8],
  ['size', 8],
  ['birthTime', 8],
] as const);

const recordFormat = new RecordFormat([
  ['position', 8],
  ['length', 8],
] as const);

/** @throws KdumpError `refused` when there are more records, markers or bytes than a journal may have */
export function encodeJournal(journal: Journal): Uint8Array {
  const { records, markers, image } = journal;
  const bodySize = 8 * markers.length + records.reduce((sum, { before }) => sum + recordFormat.size + 2 * before.length, 0);
  const totalSize = HEADER_SIZE + bodySize + TRAILER_SIZE;
  if (records.length > MAX_RECORDS || markers.length > MAX_MARKERS || totalSize > MAX_JOURNAL) {
    throw new KdumpError('refused', 'the patch is too large for a journal', {
      found: `${records.length} records, ${totalSize} bytes`,
      expected: `at most ${MAX_RECORDS} records and ${MAX_MARKERS} markers, ${MAX_JOURNAL} bytes`,
      remedy: 'make the change in several steps',
    });
  }
  const bytes = new Uint8Array(totalSize);
  const view = dataView(bytes);
  bytes.set(MAGIC, 0);
  headerFormat.encode(
    {
      version: VERSION,
      flags: (journal.live ? LIVE : 0) | (journal.kind === 'undo' ? UNDO : 0),
      totalSize: BigInt(totalSize),
      recordCount: records.length,
      markerCount: markers.length,
      device: image.device,
      inode: image.inode,
      size: image.size,
      birthTime: image.birthTime,
    },
    bytes,
    MAGIC.length,
    'lsb',
  );
  bytes.set(journal.transaction, TRANSACTION_OFFSET);
  bytes.set(Buffer.from(journal.bootId.slice(0, BOOT_ID_SIZE), 'latin1'), BOOT_ID_OFFSET);
  let at = HEADER_SIZE;
  for (const marker of markers) {
    view.setBigUint64(at, BigInt(marker), true);
    at += 8;
  }
  for (const { position, before, after } of records) {
    recordFormat.encode({ position: BigInt(position), length: BigInt(before.length) }, bytes, at, 'lsb');
    bytes.set(before, at + recordFormat.size);
    bytes.set(after, at + recordFormat.size + before.length);
    at += recordFormat.size + 2 * before.length;
  }
  bytes.set(journal.transaction, at);
  view.setBigUint64(at + 16, BigInt(totalSize), true);
  bytes.set([...MAGIC].reverse(), at + 24);
  bytes.set(digestOf(bytes), DIGEST_OFFSET);
  return bytes;
}

/**
 * The journal in `bytes`.
 *
 * @throws KdumpError `input` when it is not one, or not a whole and undamaged one; `refused` when it is whole and of another version
 */
export function parseJournal(bytes: Uint8Array): Journal {
  if (bytes.length < HEADER_SIZE + TRAILER_SIZE || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC))
    throw damaged(0, 'no journal header');
  const header = headerFormat.parseOne(bytes, MAGIC.length, 'lsb');
  if (header.totalSize !== BigInt(bytes.length)) throw damaged(16, `${bytes.length} bytes, where ${header.totalSize} are stated`);
  if (!equalBytes(bytes.subarray(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST_SIZE), digestOf(bytes)))
    throw damaged(DIGEST_OFFSET, 'another SHA-256');
  if (header.version !== VERSION) {
    throw new KdumpError('refused', 'a journal of another version of this program', {
      offset: 8,
      found: String(header.version),
      expected: String(VERSION),
      remedy: 'recover the image with the version that was interrupted',
    });
  }
  if (header.recordCount > MAX_RECORDS || header.markerCount > MAX_MARKERS)
    throw damaged(24, `${header.recordCount} records, ${header.markerCount} markers`);
  const view = dataView(bytes);
  const end = bytes.length - TRAILER_SIZE;
  let at = HEADER_SIZE;
  const number = (offset: number): number => {
    const value = offset + 8 <= end ? view.getBigUint64(offset, true) : header.size;
    if (value >= header.size) throw damaged(offset, `position ${value}`);
    return Number(value);
  };
  const markers = Array.from({ length: header.markerCount }, () => number((at += 8) - 8));
  const records: JournalRecord[] = [];
  for (let i = 0; i < header.recordCount; i += 1) {
    const position = number(at);
    const length = at + recordFormat.size <= end ? view.getBigUint64(at + 8, true) : 0n;
    const from = at + recordFormat.size;
    const last = records.at(-1);
    const wrong =
      length === 0n ||
      BigInt(from) + 2n * length > end ||
      BigInt(position) + length > header.size ||
      (last !== undefined && last.position + last.before.length > position);
    if (wrong) throw damaged(at, `record ${i} of ${length} bytes at ${position}`);
    const size = Number(length);
    records.push({ position, before: bytes.subarray(from, from + size), after: bytes.subarray(from + size, from + 2 * size) });
    at = from + 2 * size;
  }
  if (at !== end) throw damaged(at, `${end - at} bytes behind the last record`);
  return {
    kind: (header.flags & UNDO) !== 0 ? 'undo' : 'journal',
    live: (header.flags & LIVE) !== 0,
    transaction: bytes.slice(TRANSACTION_OFFSET, TRANSACTION_OFFSET + 16),
    image: { device: header.device, inode: header.inode, size: header.size, birthTime: header.birthTime },
    bootId: Buffer.from(bytes.subarray(BOOT_ID_OFFSET, BOOT_ID_OFFSET + BOOT_ID_SIZE)).toString('latin1'),
    records,
    markers,
  };
}

/**
 * The markers of a journal that is not whole, by which a half-written image shows: what is on the disk of it may be all that ever got there, and
 * then the image was never touched; or the disk damaged it since.
 *
 * Bytes that never got there are missing or zero, and leave no markers.
 *
 * @param size of the image
 * @returns null where neither is so: its bytes do not tell
 */
export function markersOfTorn(bytes: Uint8Array, size: bigint): readonly number[] | null {
  const magic = bytes.subarray(0, MAGIC.length);
  if (isZero(magic)) return [];
  if (!equalBytes(magic, MAGIC.subarray(0, magic.length))) return null;
  if (bytes.length < HEADER_SIZE) return [];
  const { markerCount } = headerFormat.parseOne(bytes, MAGIC.length, 'lsb');
  if (markerCount > MAX_MARKERS) return null;
  const list = bytes.subarray(HEADER_SIZE, HEADER_SIZE + 8 * markerCount);
  if (list.length < 8 * markerCount || isZero(list)) return [];
  const view = dataView(list);
  const markers = Array.from({ length: markerCount }, (_, index) => view.getBigUint64(8 * index, true));
  return markers.every((marker) => marker < size) ? markers.map(Number) : null;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function digestOf(bytes: Uint8Array): Uint8Array {
  const zeros = new Uint8Array(DIGEST_SIZE);
  const hash = createHash('sha256').update(bytes.subarray(0, DIGEST_OFFSET)).update(zeros);
  return new Uint8Array(hash.update(bytes.subarray(DIGEST_OFFSET + DIGEST_SIZE)).digest());
}

function damaged(offset: number, found: string): KdumpError {
  return new KdumpError('input', 'not a whole journal', { offset, found });
}
