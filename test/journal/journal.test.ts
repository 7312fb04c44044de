import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeJournal, parseJournal, type Journal, type JournalRecord } from '../../src/journal/journal.js';
import { thrown } from '../helpers/thrown.js';
import { withoutStacks } from '../helpers/without-stacks.js';
import { diskWith, ModelFileSystem } from '../helpers/model-file-system.js';
import { copied, REAL_STEPS } from '../patch/power-cut-model.js';
import { example } from '../patch/traces.js';
import { IDENTITY, journalWith } from './journal-with.js';

const records: fc.Arbitrary<JournalRecord[]> = fc
  .array(fc.tuple(fc.nat(200), fc.uint8Array({ minLength: 1, maxLength: 64 })), { maxLength: 8 })
  .map((parts) => {
    let position = 0;
    return parts.map(([gap, before]) => {
      const record = { position: position + gap, before, after: before.map((byte) => byte ^ 0x55) };
      position += gap + before.length;
      return record;
    });
  });

describe('the file format', () => {
  test('what is encoded is parsed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('journal', 'undo'),
        fc.boolean(),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uuid(),
        records,
        fc.array(fc.nat(2999), { maxLength: 16 }),
        (kind, live, transaction, bootId, some, markers) => {
          const journal: Journal = { kind, live, transaction, image: IDENTITY, bootId, records: some, markers };
          expect(parseJournal(encodeJournal(journal))).toEqual(journal);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('the bytes are those of docs/journal.md', () => {
    const record = { position: 512, before: Uint8Array.of(1, 2), after: Uint8Array.of(3, 4) };
    const bytes = Buffer.from(encodeJournal(journalWith({ kind: 'undo', live: true, records: [record], markers: [512] })));
    const size = 4096 + 8 + 16 + 4 + 64;
    expect(bytes).toHaveLength(size);
    expect(bytes.toString('latin1', 0, 8)).toBe('KDHPJNL\x01');
    expect([bytes.readUInt32LE(8), bytes.readUInt32LE(12)]).toEqual([1, 3]);
    expect(bytes.readBigUInt64LE(16)).toBe(BigInt(size));
    expect([bytes.readUInt32LE(24), bytes.readUInt32LE(28)]).toEqual([1, 1]);
    expect([32, 40, 48, 56].map((at) => bytes.readBigUInt64LE(at))).toEqual([41n, 10n, 3000n, 7n]);
    expect(bytes.subarray(96, 112)).toEqual(Buffer.alloc(16, 9));
    const zeroed = Buffer.from(bytes).fill(0, 128, 160);
    expect(bytes.toString('hex', 128, 160)).toBe(createHash('sha256').update(zeroed).digest('hex'));
    expect(bytes.toString('latin1', 160, 196)).toBe('1'.padStart(36, '0'));
    expect(bytes.readBigUInt64LE(4096)).toBe(512n);
    expect([4104, 4112].map((at) => bytes.readBigUInt64LE(at))).toEqual([512n, 2n]);
    expect([...bytes.subarray(4120, 4124)]).toEqual([1, 2, 3, 4]);
    expect(bytes.subarray(4124, 4140)).toEqual(Buffer.alloc(16, 9));
    expect(bytes.readBigUInt64LE(4140)).toBe(BigInt(size));
    expect(bytes.toString('latin1', 4148, 4156)).toBe('\x01LNJPHDK');
  });

  /** A journal with right digest and wrong contents. */
  function forged(change: (bytes: Buffer) => void, from = journalWith()): Uint8Array {
    const bytes = Buffer.from(encodeJournal(from));
    change(bytes);
    bytes.fill(0, 128, 160);
    bytes.set(createHash('sha256').update(bytes).digest(), 128);
    return Uint8Array.from(bytes);
  }

  /** A journal that says it is whole, with only `size` bytes behind the header. */
  function cut(from: Journal, size: number): Uint8Array {
    const whole = Buffer.from(encodeJournal(from));
    const bytes = Buffer.concat([whole.subarray(0, 4096 + size), size >= 63 ? Buffer.alloc(0) : Buffer.alloc(64)]);
    bytes.writeBigUInt64LE(BigInt(bytes.length), 16);
    bytes.fill(0, 128, 160);
    bytes.set(createHash('sha256').update(bytes).digest(), 128);
    return Uint8Array.from(bytes);
  }

  function withByte(bytes: Uint8Array, at: number, byte: number): Uint8Array {
    bytes[at] = byte;
    return bytes;
  }

  const record = (position: number, length = 8): JournalRecord => ({
    position,
    before: new Uint8Array(length).fill(1),
    after: new Uint8Array(length).fill(2),
  });

  // Offsets: 4096 is the first record, 4128 the second one behind 16 bytes of fields and 2 * 8 of contents; -64 is the trailer.
  test.each([
    [
      'overlapping records',
      forged(() => undefined, journalWith({ records: [record(100), record(107)] })),
      4128,
      'record 1 of 8 bytes at 107',
    ],
    ['records in the wrong order', forged(() => undefined, journalWith({ records: [record(200), record(100)] })), 4128, 'record 1 of 8'],
    ['a record behind the end', forged(() => undefined, journalWith({ records: [record(2993)] })), 4096, 'record 0 of 8 bytes at 2993'],
    [
      'a record far behind the end',
      forged((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 4096), journalWith({ records: [record(1)] })),
      4096,
      `position ${2n ** 63n}`,
    ],
    ['a record of no bytes', forged(() => undefined, journalWith({ records: [record(100, 0)] })), 4096, 'record 0 of 0 bytes'],
    [
      'a record of 2^64 - 1 bytes',
      forged((bytes) => bytes.fill(0xff, 4104, 4112), journalWith({ records: [record(1)] })),
      4096,
      `record 0 of ${2n ** 64n - 1n} bytes at 1`,
    ],
    [
      'a record of 2^63 bytes',
      forged((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 4104), journalWith({ records: [record(1)] })),
      4096,
      `record 0 of ${2n ** 63n} bytes at 1`,
    ],
    [
      'a record that is longer than the journal by a byte',
      forged((bytes) => bytes.writeBigUInt64LE(9n, 4104), journalWith({ records: [record(1)] })),
      4096,
      'record 0 of 9 bytes at 1',
    ],
    ['2^32 - 1 records', forged((bytes) => bytes.writeUInt32LE(0xffffffff, 24)), 24, '4294967295 records, 0 markers'],
    ['65537 records', forged((bytes) => bytes.writeUInt32LE(65537, 24)), 24, '65537 records, 0 markers'],
    ['65536 records that are not there', forged((bytes) => bytes.writeUInt32LE(65536, 24)), 4096, 'position 3000'],
    ['a record without its length', cut(journalWith({ records: [record(1, 4)] }), 8), 4096, 'record 0 of 0 bytes at 1'],
    ['a record without its position', cut(journalWith({ records: [record(1, 4)] }), 4), 4096, 'position 3000'],
    ['2^32 - 1 markers', forged((bytes) => bytes.writeUInt32LE(0xffffffff, 28)), 24, '0 records, 4294967295 markers'],
    ['17 markers', forged((bytes) => bytes.writeUInt32LE(17, 28)), 24, '0 records, 17 markers'],
    ['a marker that is not there', forged((bytes) => bytes.writeUInt32LE(1, 28)), 4096, 'position 3000'],
    ['a marker behind the end', forged(() => undefined, journalWith({ markers: [7, 3000] })), 4104, 'position 3000'],
    [
      'bytes behind the last record',
      forged((bytes) => bytes.writeUInt32LE(0, 24), journalWith({ records: [record(1)] })),
      4096,
      '32 bytes behind the last record',
    ],
    ['another total size', forged((bytes) => bytes.writeBigUInt64LE(9999n, 16)), 16, '4160 bytes, where 9999 are stated'],
    ['another SHA-256', withByte(encodeJournal(journalWith()), 200, 1), 128, 'another SHA-256'],
    ['another magic', withByte(encodeJournal(journalWith()), 7, 2), 0, 'no journal header'],
    ['no bytes', new Uint8Array(), 0, 'no journal header'],
    ['a header and no whole trailer', cut(journalWith(), 63), 0, 'no journal header'],
  ])('%s', (_, bytes, offset, found) => {
    expect(thrown(() => parseJournal(bytes))).toMatchObject({
      kind: 'input',
      problem: 'not a whole journal',
      details: { offset, found: expect.stringContaining(found) as string },
    });
  });

  test('a whole journal of another version is refused, with the way out', () => {
    const bytes = forged((journal) => journal.writeUInt32LE(2, 8));
    expect(thrown(() => parseJournal(bytes))).toMatchObject({
      kind: 'refused',
      problem: 'a journal of another version of this program',
      details: { offset: 8, found: '2', expected: '1', remedy: 'recover the image with the version that was interrupted' },
    });
  });

  test('as many records and markers as there may be are parsed', () => {
    const many = Array.from({ length: 65536 }, (__, index) => record(2 * index, 1));
    const journal = journalWith({
      records: many,
      markers: Array.from({ length: 16 }, (__, index) => index),
      image: { ...IDENTITY, size: 200_000n },
    });
    const parsed = parseJournal(encodeJournal(journal));
    expect([parsed.records.length, parsed.markers.length]).toEqual([65536, 16]);
    expect(parsed.records.at(-1)).toEqual(many.at(-1));
  });

  test('of a file whose last byte it changes', () => {
    const journal = journalWith({ records: [record(2992)], markers: [2999] });
    expect(parseJournal(encodeJournal(journal))).toEqual(journal);
  });

  // Contents are large only where no bytes are looked at: the check comes before anything is allocated.
  test.each([
    ['65537 records', { records: Array<JournalRecord>(65537).fill(record(0, 1)) }, '65537 records, 1183826 bytes'],
    ['17 markers', { markers: Array<number>(17).fill(0) }, '0 records, 4296 bytes'],
    ['more than 24 MiB', { records: [record(0, 12 << 20)] }, '1 records, 25170000 bytes'],
  ])('%s are not made a journal of', (_, more, found) => {
    expect(thrown(() => encodeJournal(journalWith(more)))).toMatchObject({
      kind: 'refused',
      problem: 'the patch is too large for a journal',
      details: {
        found,
        expected: 'at most 65536 records and 16 markers, 25165824 bytes',
        remedy: 'make the change in several steps',
      },
    });
  });

  test('a journal of just 24 MiB is made', () => {
    const length = ((24 << 20) - 4096 - 16 - 64) / 2;
    expect(encodeJournal(journalWith({ records: [record(0, length)] }))).toHaveLength(24 << 20);
  });
});

describe('a damaged journal', () => {
  const { versions, patch } = example(3, 3);
  const image = versions.before;
  const whole = encodeJournal(
    journalWith({
      image: { ...IDENTITY, size: BigInt(image.length) },
      records: [{ position: 0, before: versions.after, after: image }],
      markers: patch.markers,
    }),
  );

  /** Neither a reader nor `recover` uses it; where it does not tell whether the image was touched, both refuse. */
  function leavesAlone(journal: Uint8Array): boolean {
    const fileSystem = new ModelFileSystem(copied(diskWith(image, journal)));
    const isRefused = (action: () => void): boolean => {
      try {
        action();
        return false;
      } catch (error) {
        expect(error).toMatchObject({ kind: 'refused', details: { found: 'bytes of no journal' } });
        return true;
      }
    };
    const refused = isRefused(() => {
      expect(Buffer.compare(REAL_STEPS.read(fileSystem), image)).toBe(0);
    });
    expect(
      isRefused(() => {
        REAL_STEPS.recover(fileSystem, false);
      }),
    ).toBe(refused);
    return fileSystem.operations.every(({ kind }) => kind !== 'write' && !(refused && kind === 'remove'));
  }

  test('is used when it is whole', () => {
    const marked = image.slice();
    for (const marker of patch.markers) marked[marker] = 0;
    const fileSystem = new ModelFileSystem(copied(diskWith(marked, whole)));
    expect(Buffer.compare(REAL_STEPS.read(fileSystem), versions.after)).toBe(0);
    REAL_STEPS.recover(fileSystem, false);
    expect(Buffer.compare(fileSystem.contents('image') ?? new Uint8Array(), versions.after)).toBe(0);
  });

  test('is not used with any bit of any byte turned', () => {
    withoutStacks(() => {
      for (let at = 0; at < whole.length; at += 1) {
        const bytes = whole.slice();
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        expect(leavesAlone(bytes), `byte ${at}`).toBe(true);
      }
    });
  });

  test('is not used at any shorter length', () => {
    withoutStacks(() => {
      for (let length = 0; length < whole.length; length += 1) expect(leavesAlone(whole.slice(0, length)), `${length} bytes`).toBe(true);
    });
  });
});
