import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { InputFile } from '../../src/file/input-file.js';
import { bootIdOf } from '../../src/journal/find-journal.js';
import { encodeJournal } from '../../src/journal/journal.js';
import { readCommitted } from '../../src/journal/read-committed.js';
import { diskWith, FOLDER, IMAGE_PATH, JOURNAL, ModelFileSystem } from '../helpers/model-file-system.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';
import { journalWith } from './journal-with.js';

// Writers that know nothing of journals are told by the time of the last write alone.

const MILLISECOND = 1_000_000n;
const HALF = 4096;

/** A file of two halves, a clock, and somebody who writes to the file while it is read. */
class WrittenFile extends ModelFileSystem {
  clock = 2_000_000_000_000n * MILLISECOND;
  modified = this.clock - 3600_000n * MILLISECOND;
  pauses = 0;

  private readonly image: Uint8Array<ArrayBuffer>;

  constructor(image = new Uint8Array(2 * HALF)) {
    super(diskWith(image));
    this.image = image;
  }

  /** Somebody writes both halves; the time of it comes from a clock that may be some milliseconds behind. */
  writtenWith(byte: number, behind = 0n): void {
    this.image.fill(byte);
    this.modified = this.clock - behind;
  }

  override status(descriptor: number): ReturnType<ModelFileSystem['status']> {
    return { ...super.status(descriptor), modified: this.modified };
  }
  override now(): bigint {
    return this.clock;
  }
  override pause(milliseconds: number): void {
    this.pauses += 1;
    this.clock += BigInt(milliseconds) * MILLISECOND;
  }
}

/** Both halves, between which `meanwhile` happens. */
function halves(file: InputFile, meanwhile: () => void): number[] {
  const [first] = file.read(0, HALF);
  meanwhile();
  const [second] = file.read(HALF, HALF);
  return [first ?? -1, second ?? -1];
}

describe('a write while the file is read', () => {
  // A clock that moves in steps gives a write a time from before the read began.
  test.each([0n, 4n, 9n])('that is told by a clock %d ms behind: read again, not torn', (behind) => {
    const fileSystem = new WrittenFile();
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) =>
      halves(file, () => {
        reads += 1;
        if (reads === 1) fileSystem.writtenWith(7, behind * MILLISECOND);
      }),
    );
    expect(result).toEqual([7, 7]);
    expect(reads).toBeGreaterThan(1);
    expect(fileSystem.openFiles).toBe(1);
    expect(fileSystem.operations).toEqual([]);
  });

  test('of which there is none: read once, without taking a lock', () => {
    const fileSystem = new WrittenFile();
    fileSystem.lock = () => expect.fail('locked');
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([0, 0]);
    expect(fileSystem.pauses).toBe(0);
  });

  test('just before the read began: waited for, as the writer may be in the middle of it', () => {
    const fileSystem = new WrittenFile();
    fileSystem.writtenWith(3);
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([3, 3]);
    expect(fileSystem.pauses).toBeGreaterThan(0);
  });

  test('that makes what was read look damaged: the error is not told, what is read then is', () => {
    const fileSystem = new WrittenFile();
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) => {
      const seen = halves(file, () => {
        reads += 1;
        if (reads === 1) fileSystem.writtenWith(9);
      });
      if (seen[0] !== seen[1]) throw new Error('damaged');
      return seen;
    });
    expect(result).toEqual([9, 9]);
  });

  test('an error of a file that nobody writes to is told at once, and the file is closed', () => {
    const fileSystem = new WrittenFile();
    expect(() =>
      readCommitted(fileSystem, IMAGE_PATH, () => {
        throw new Error('damaged');
      }),
    ).toThrow('damaged');
    expect(fileSystem.pauses).toBe(0);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('again and again, every time: refused after a second, nothing returned, nothing left open', () => {
    const fileSystem = new WrittenFile();
    const started = fileSystem.clock;
    const read = (): number[] =>
      readCommitted(fileSystem, IMAGE_PATH, (file) =>
        halves(file, () => {
          fileSystem.writtenWith(fileSystem.pauses + 1);
        }),
      );
    expect(thrown(read)).toMatchObject({
      kind: 'io',
      problem: 'another process goes on writing to it',
      details: { file: IMAGE_PATH, remedy: 'try again when it has finished' },
    });
    expect(fileSystem.pauses).toBe(39);
    expect(fileSystem.clock - started).toBe(39n * 25n * MILLISECOND);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('a time of last write in the future, as after the clock was set, is taken while it stays, and not when it moves', () => {
    const fileSystem = new WrittenFile();
    fileSystem.modified = fileSystem.clock + 86_400_000n * MILLISECOND;
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([0, 0]);
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) =>
      halves(file, () => {
        reads += 1;
        if (reads > 1) return;
        fileSystem.writtenWith(5);
        fileSystem.modified = fileSystem.clock + 86_400_001n * MILLISECOND;
      }),
    );
    expect(result).toEqual([5, 5]);
  });
});

describe('the time of the last write', () => {
  const SECOND = 1000n * MILLISECOND;

  /** Pauses that reading takes when the file was written `ago` nanoseconds before. */
  function pausesFor(ago: bigint): number {
    const fileSystem = new WrittenFile();
    fileSystem.modified = fileSystem.clock - ago;
    readCommitted(fileSystem, IMAGE_PATH, () => undefined);
    return fileSystem.pauses;
  }

  test.each([
    ['20 ms and 1 ns ago', 20n * MILLISECOND + 1n, 0],
    ['20 ms ago', 20n * MILLISECOND, 1],
    ['now', 0n, 1],
    ['20 ms ahead', -20n * MILLISECOND, 2],
    ['21 ms ahead', -21n * MILLISECOND, 0],
    ['3 s ahead, as after a clock was set back', -3n * SECOND, 0],
  ])('%s', (_, ago, pauses) => {
    expect(pausesFor(ago)).toBe(pauses);
  });
});

/** A file with a journal beside it whose patch may be under way, which is what a lock says. */
class PatchedFile extends WrittenFile {
  /** What each attempt to take the lock comes to; the last one stands for all that follow. */
  locks: boolean[] = [true];
  looks = 0;

  constructor(before: number, transaction = 1) {
    // A byte of the first half is still as it was.
    const image = new Uint8Array(2 * HALF).fill(2);
    image[HALF - 1] = before;
    super(image);
    this.put(before, transaction);
  }

  put(before: number, transaction: number): void {
    const records = [{ position: 0, before: new Uint8Array(HALF).fill(before), after: new Uint8Array(HALF).fill(2) }];
    const journal = journalWith({
      image: super.status(this.open(IMAGE_PATH, 'read')),
      bootId: bootIdOf(this),
      transaction: new Uint8Array(16).fill(transaction),
      records,
    });
    const descriptor = this.open(`${FOLDER}/${JOURNAL}`, 'replace');
    super.write(descriptor, encodeJournal(journal), 0);
    for (let each = 3; each <= descriptor; each += 1) this.close(each);
    this.operations.length = 0;
  }

  override lock(descriptor: number, kind?: string): boolean {
    expect(kind).toBe('shared');
    super.lock(descriptor);
    const free = this.locks[Math.min(this.looks, this.locks.length - 1)] ?? true;
    this.looks += 1;
    return free;
  }
}

describe('a journal beside the file', () => {
  test('of a patch that was interrupted: what it began with lies over the file, which is not touched', () => {
    const fileSystem = new PatchedFile(7);
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([7, 2]);
    expect(fileSystem.looks).toBe(2);
    expect(fileSystem.pauses).toBe(0);
    expect(fileSystem.operations).toEqual([]);
    expect(fileSystem.openFiles).toBe(1);
  });

  test('of a patch under way: it is waited for', () => {
    const fileSystem = new PatchedFile(7);
    fileSystem.locks = [false, false, true];
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([7, 2]);
    expect(fileSystem.pauses).toBe(2);
    expect(fileSystem.openFiles).toBe(1);
  });

  test('of a patch that does not end: refused after a second, nothing read, nothing left open', () => {
    const fileSystem = new PatchedFile(7);
    fileSystem.locks = [false];
    let reads = 0;
    const error = thrown(() => readCommitted(fileSystem, IMAGE_PATH, () => (reads += 1)));
    expect(error).toMatchObject({
      kind: 'io',
      problem: 'another process is patching it',
      details: { file: IMAGE_PATH, remedy: 'try again when it has finished' },
    });
    expect([reads, fileSystem.pauses, fileSystem.openFiles]).toEqual([0, 39, 0]);
  });

  test('of a patch that begins while the file is read: read again', () => {
    const fileSystem = new PatchedFile(7);
    fileSystem.locks = [true, false, true];
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => (reads += 1)));
    expect(result).toEqual([7, 2]);
    expect([reads, fileSystem.pauses]).toEqual([2, 1]);
  });

  test('that is another one afterwards: read again', () => {
    const fileSystem = new PatchedFile(7);
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) =>
      halves(file, () => {
        if (fileSystem.pauses === 0) fileSystem.put(7, 2);
      }),
    );
    expect(result).toEqual([7, 2]);
    expect(fileSystem.pauses).toBe(1);
  });

  test('that comes or goes meanwhile: read again', () => {
    const came = new WrittenFile(new Uint8Array(2 * HALF).fill(2));
    const seen: number[] = [];
    readCommitted(came, IMAGE_PATH, (file) =>
      halves(file, () => {
        seen.push(came.pauses);
        if (seen.length > 1) return;
        const descriptor = came.open(`${FOLDER}/${JOURNAL}`, 'create');
        came.write(descriptor, Uint8Array.of(0), 0);
        came.close(descriptor);
      }),
    );
    expect(seen).toEqual([0, 1]);
    const went = new PatchedFile(7);
    const result = readCommitted(went, IMAGE_PATH, (file) =>
      halves(file, () => {
        went.remove(`${FOLDER}/${JOURNAL}`);
      }),
    );
    expect(result).toEqual([2, 2]);
    expect(went.pauses).toBe(1);
  });

  test('that cannot be looked for: the error closes the file', () => {
    const fileSystem = new PatchedFile(7);
    fileSystem.realPath = () => {
      throw new KdumpError('io', 'cannot resolve');
    };
    expect(
      thrown(() => {
        readCommitted(fileSystem, IMAGE_PATH, () => undefined);
      }),
    ).toMatchObject({ problem: 'cannot resolve' });
    expect(fileSystem.openFiles).toBe(0);
  });
});

/** Writes one byte value all over the file, half after half, then another one. */
const WRITER = `
  const fs = require('node:fs');
  const [path, half] = [process.argv[1], Number(process.argv[2])];
  const file = fs.openSync(path, 'r+');
  const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  for (let value = 1; ; value = (value % 250) + 1) {
    fs.writeSync(file, Buffer.alloc(half, value), 0, half, 0);
    fs.writeSync(file, Buffer.alloc(half, value), 0, half, half);
    sleep(value % 4 === 0 ? 80 : value % 7);
  }
`;

test('a process that writes a real file all the time: each read is of one write alone, or refused', () => {
  const path = join(scratchFolder(), 'written');
  writeFileSync(path, Buffer.alloc(2 * HALF, 1));
  const writer = spawn(process.execPath, ['-e', WRITER, path, String(HALF)], { stdio: 'ignore' });
  try {
    const seen = new Set<number>();
    let [refused, reads] = [0, 0];
    // The first ones may come before the writer has started.
    for (const end = Date.now() + 60_000; seen.size < 12 && Date.now() < end; reads += 1) {
      try {
        const { file, bytes } = readCommitted(nodeFileSystem, path, (open) => ({
          file: open,
          bytes: Buffer.concat([open.read(0, HALF), open.read(HALF, HALF)]),
        }));
        file.close();
        expect(bytes.equals(Buffer.alloc(2 * HALF, bytes[0]))).toBe(true);
        seen.add(bytes[0] ?? 0);
      } catch (error) {
        expect(String(error)).toContain('goes on writing');
        refused += 1;
      }
    }
    expect(seen.size, `${reads} reads, ${refused} refused`).toBe(12);
  } finally {
    writer.kill('SIGKILL');
  }
}, 120_000);
