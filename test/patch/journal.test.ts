import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, chmodSync, chownSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { bootIdOf, journalNameOf } from '../../src/journal/find-journal.js';
import { encodeJournal, parseJournal, type Journal, type JournalRecord } from '../../src/journal/journal.js';
import { copyOf } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';
import { runHere } from '../helpers/run-here.js';
import { diskWith, ModelFileSystem } from './model-file-system.js';
import { copied, REAL_STEPS } from './power-cut-model.js';
import { example } from './traces.js';

const IDENTITY = { device: 41n, inode: 10n, size: 3000n, birthTime: 7n };

function journalWith(more: Partial<Journal> = {}): Journal {
  return {
    kind: 'journal',
    live: false,
    transaction: new Uint8Array(16).fill(9),
    image: IDENTITY,
    bootId: '1'.padStart(36, '0'),
    records: [],
    markers: [],
    ...more,
  };
}

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

  const record = (position: number, length = 8): JournalRecord => ({
    position,
    before: new Uint8Array(length).fill(1),
    after: new Uint8Array(length).fill(2),
  });

  test.each([
    ['overlapping records', forged(() => undefined, journalWith({ records: [record(100), record(107)] }))],
    ['records in the wrong order', forged(() => undefined, journalWith({ records: [record(200), record(100)] }))],
    ['a record behind the end', forged(() => undefined, journalWith({ records: [record(2996)] }))],
    ['a record far behind the end', forged((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 4096), journalWith({ records: [record(1)] }))],
    ['a record of no bytes', forged(() => undefined, journalWith({ records: [record(100, 0)] }))],
    ['a record of 2^64 - 1 bytes', forged((bytes) => bytes.fill(0xff, 4104, 4112), journalWith({ records: [record(1)] }))],
    ['a record of 2^63 bytes', forged((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 4104), journalWith({ records: [record(1)] }))],
    ['2^32 - 1 records', forged((bytes) => bytes.writeUInt32LE(0xffffffff, 24))],
    ['65536 records that are not there', forged((bytes) => bytes.writeUInt32LE(65536, 24))],
    ['2^32 - 1 markers', forged((bytes) => bytes.writeUInt32LE(0xffffffff, 28))],
    ['a marker behind the end', forged(() => undefined, journalWith({ markers: [3000] }))],
    ['bytes behind the last record', forged((bytes) => bytes.writeUInt32LE(0, 24), journalWith({ records: [record(1)] }))],
    ['another total size', forged((bytes) => bytes.writeBigUInt64LE(9999n, 16))],
  ])('%s', (_, bytes) => {
    expect(thrown(() => parseJournal(bytes)).kind).toBe('input');
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

  function leavesAlone(journal: Uint8Array): boolean {
    const fileSystem = new ModelFileSystem(copied(diskWith(image, journal)));
    expect(Buffer.compare(REAL_STEPS.read(fileSystem), image)).toBe(0);
    REAL_STEPS.recover(fileSystem);
    return fileSystem.operations.every(({ kind }) => kind !== 'write');
  }

  test('is used when it is whole', () => {
    const fileSystem = new ModelFileSystem(copied(diskWith(image, whole)));
    expect(Buffer.compare(REAL_STEPS.read(fileSystem), versions.after)).toBe(0);
    REAL_STEPS.recover(fileSystem);
    expect(Buffer.compare(fileSystem.contents('image') ?? new Uint8Array(), versions.after)).toBe(0);
  });

  test('is not used with any bit of any byte turned', () => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    for (let at = 0; at < whole.length; at += 1) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      expect(leavesAlone(bytes), `byte ${at}`).toBe(true);
    }
    Error.stackTraceLimit = limit;
  });

  test('is not used at any shorter length', () => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    for (let length = 0; length < whole.length; length += 1) expect(leavesAlone(whole.slice(0, length)), `${length} bytes`).toBe(true);
    Error.stackTraceLimit = limit;
  });
});

describe('a planted journal is neither used nor removed', () => {
  const folder = scratchFolder();
  const isRoot = process.geteuid?.() === 0;

  /** A whole journal that would change the image. */
  function harmful(image: string, identity: Partial<Journal['image']> = {}): Uint8Array {
    const { dev, ino, size, birthtimeNs } = statSync(image, { bigint: true });
    return encodeJournal(
      journalWith({
        image: { device: dev, inode: ino, size, birthTime: birthtimeNs, ...identity },
        bootId: bootIdOf(nodeFileSystem),
        records: [{ position: 0, before: new Uint8Array(64).fill(0xee), after: new Uint8Array(readFileSync(image).subarray(0, 64)) }],
      }),
    );
  }

  const cases: readonly (readonly [string, (image: string, journal: string) => void, boolean?])[] = [
    [
      'a symbolic link',
      (image, journal) => {
        writeFileSync(`${image}.elsewhere`, harmful(image), { mode: 0o600 });
        symlinkSync(`${image}.elsewhere`, journal);
      },
    ],
    [
      'a link that leads nowhere',
      (_, journal) => {
        symlinkSync('/nowhere', journal);
      },
    ],
    [
      'a directory',
      (_, journal) => {
        mkdirSync(journal);
      },
    ],
    [
      'a FIFO',
      (_, journal) => {
        expect(spawnSync('mkfifo', [journal]).status).toBe(0);
      },
    ],
    [
      'a file with two names',
      (image, journal) => {
        writeFileSync(journal, harmful(image), { mode: 0o600 });
        linkSync(journal, `${journal}.second`);
      },
    ],
    [
      'a file that a group may write',
      (image, journal) => {
        writeFileSync(journal, harmful(image));
        chmodSync(journal, 0o620);
      },
    ],
    [
      'a file that all may write',
      (image, journal) => {
        writeFileSync(journal, harmful(image));
        chmodSync(journal, 0o602);
      },
    ],
    [
      'a file of another user',
      (image, journal) => {
        writeFileSync(journal, harmful(image), { mode: 0o600 });
        chownSync(journal, 12345, 12345);
      },
      isRoot,
    ],
    [
      'the journal of another file',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { inode: 1n }), { mode: 0o600 });
      },
    ],
    [
      'the journal of a file of another size',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { size: 123_456_789n }), { mode: 0o600 });
      },
    ],
    [
      'the journal of a file made at another time',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { birthTime: 1n }), { mode: 0o600 });
      },
    ],
    [
      'the journal of a file on another disk',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { device: 1n }), { mode: 0o600 });
      },
    ],
  ];

  const possible = cases.filter(([, , can]) => can !== false).map(([name, plant]) => [name, plant] as const);

  test.each(possible)('%s', (_, plant) => {
    const image = copyOf('tiny-ppc64', folder);
    const journal = join(dirname(image), journalNameOf(basename(image)));
    plant(image, journal);
    const before = readFileSync(image, 'latin1');
    const isThere = (): boolean => spawnSync('test', ['-e', journal]).status === 0 || spawnSync('test', ['-L', journal]).status === 0;
    for (const args of [
      ['inspect', image],
      ['apply', image, '--add-memory', '0x90000000+16M'],
      ['recover', image],
      ['recover', image, '--force'],
    ]) {
      const { status, stderr } = runHere(args);
      expect({ args, status, stderr }).toEqual({ args, status: 4, stderr: expect.stringContaining('kdhp-journal') as string });
      expect(readFileSync(image, 'latin1') === before).toBe(true);
      expect(isThere()).toBe(true);
    }
  });

  test('but the same bytes in a file of one’s own are used', () => {
    const image = copyOf('tiny-ppc64', folder);
    writeFileSync(join(dirname(image), journalNameOf(basename(image))), harmful(image), { mode: 0o600 });
    expect(runHere(['recover', image])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(image).subarray(0, 64)).toEqual(Buffer.alloc(64, 0xee));
  });

  test('the journal of a file with a long name has a short one', () => {
    const name = 'n'.repeat(255);
    expect(journalNameOf(name)).toMatch(/^\.kdhp-[0-9a-f]{32}\.journal$/);
    expect(journalNameOf('n'.repeat(240))).toBe(`.${'n'.repeat(240)}.kdhp-journal`);
    expect(Buffer.byteLength(journalNameOf('ü'.repeat(122)))).toBeLessThanOrEqual(255);
  });
});
