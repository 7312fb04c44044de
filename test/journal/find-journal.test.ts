import { linkSync, mkdirSync, readFileSync, chmodSync, chownSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { FileStatus } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { bootIdOf, findJournal, journalNameOf } from '../../src/journal/find-journal.js';
import { encodeJournal, MAX_JOURNAL, type Journal } from '../../src/journal/journal.js';
import { copyOf } from '../helpers/fixtures.js';
import { diskWith, FOLDER, IMAGE, IMAGE_PATH, JOURNAL, ModelFileSystem } from '../helpers/model-file-system.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';
import { journalWith } from './journal-with.js';

describe('a planted journal is neither used nor removed', () => {
  const folder = scratchFolder();
  const isRoot = process.geteuid?.() === 0;

  /** A whole journal that would change the image: of it, all bytes but the last are new. */
  function harmful(image: string, identity: Partial<Journal['image']> = {}): Uint8Array {
    const { dev, ino, size, birthtimeNs } = statSync(image, { bigint: true });
    const after = Uint8Array.from(readFileSync(image).subarray(0, 64));
    const before = new Uint8Array(64).fill(0xee);
    before[63] = after[63] ?? 0;
    after[63] = 0xdd;
    return encodeJournal(
      journalWith({
        image: { device: dev, inode: ino, size, birthTime: birthtimeNs, ...identity },
        bootId: bootIdOf(nodeFileSystem),
        records: [{ position: 0, before, after }],
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
      'the journal of another file, which has other bytes',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { inode: 1n }), { mode: 0o600 });
        const bytes = readFileSync(image);
        bytes[40] = (bytes[40] ?? 0) ^ 1;
        writeFileSync(image, bytes);
      },
    ],
    [
      'the journal of a file of another size',
      (image, journal) => {
        writeFileSync(journal, harmful(image, { size: 123_456_789n }), { mode: 0o600 });
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
    expect(readFileSync(image).subarray(0, 63)).toEqual(Buffer.alloc(63, 0xee));
  });

  test('the journal of a file with a long name has a short one', () => {
    const name = 'n'.repeat(255);
    expect(journalNameOf(name)).toMatch(/^\.kdhp-[0-9a-f]{32}\.journal$/);
    expect(journalNameOf('n'.repeat(240))).toBe(`.${'n'.repeat(240)}.kdhp-journal`);
    expect(Buffer.byteLength(journalNameOf('ü'.repeat(122)))).toBeLessThanOrEqual(255);
  });
});

describe('findJournal', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const image = new Uint8Array(100);

  /** A directory with an image and a journal, whose status may be told otherwise. */
  class WithJournal extends ModelFileSystem {
    /** What the directory says of the journal, and what the opened file says. */
    entry: Partial<FileStatus> = {};
    opened: Partial<FileStatus> = {};

    constructor(more: Partial<Journal> = {}) {
      super(diskWith(image));
      this.rewrite(encodeJournal(this.journal(more)));
    }

    /** A journal of this image, of one record. */
    journal(more: Partial<Journal> = {}): Journal {
      return journalWith({
        image: this.statusIn(0, IMAGE) as FileStatus,
        bootId: bootIdOf(this),
        records: [{ position: 1, before: Uint8Array.of(1), after: Uint8Array.of(2) }],
        ...more,
      });
    }

    rewrite(bytes: Uint8Array): void {
      const descriptor = this.open(`${FOLDER}/${JOURNAL}`, 'replace');
      this.write(descriptor, bytes, 0);
      this.close(descriptor);
    }

    override statusIn(directory: number, name: string): FileStatus | undefined {
      const status = super.statusIn(directory, name);
      return status !== undefined && name === JOURNAL ? { ...status, ...this.entry } : status;
    }
    override status(descriptor: number): FileStatus {
      return { ...super.status(descriptor), ...this.opened };
    }

    find(imageStatus: Partial<FileStatus> = {}): ReturnType<typeof findJournal> {
      const found = findJournal(this, 0, IMAGE, { ...(this.statusIn(0, IMAGE) as FileStatus), ...imageStatus }, IMAGE_PATH);
      expect(this.openFiles).toBe(0);
      return found;
    }

    /** What the refusal says it found. */
    refused(imageStatus: Partial<FileStatus> = {}): string | undefined {
      const error = thrown(() => this.find(imageStatus));
      expect(this.openFiles).toBe(0);
      expect(error).toMatchObject({
        kind: 'refused',
        problem: `beside the image lies ${JOURNAL}, which is not used`,
        details: {
          file: IMAGE_PATH,
          expected: 'the journal of an interrupted patch of this file',
          remedy: 'find out where it comes from, and move it elsewhere',
        },
      });
      return error.details.found;
    }
  }

  test('none, a whole one, and half of one', () => {
    const none = new ModelFileSystem(diskWith(image));
    expect(findJournal(none, 0, IMAGE, none.statusIn(0, IMAGE) as FileStatus, IMAGE_PATH)).toEqual({ state: 'none' });
    const directory = new WithJournal();
    expect(directory.find()).toMatchObject({ state: 'hot', journal: { records: [{ position: 1 }] } });
    directory.rewrite(encodeJournal(directory.journal()).slice(0, -1));
    expect(directory.find()).toEqual({ state: 'cold', name: JOURNAL, markers: directory.journal().markers });
  });

  test('one that is larger than any can be is none, and not read', () => {
    const directory = new WithJournal();
    directory.entry = { size: BigInt(MAX_JOURNAL) };
    expect(directory.find()).toMatchObject({ state: 'hot' });
    directory.entry = { size: BigInt(MAX_JOURNAL) + 1n };
    directory.openIn = () => expect.fail('opened');
    expect(directory.find()).toEqual({ state: 'cold', name: JOURNAL, markers: null });
  });

  test.each<[string, Partial<FileStatus>]>([
    ['inode', { inode: 999n }],
    ['device', { device: 999n }],
  ])('one that is another file by its %s once it is open', (_, opened) => {
    const directory = new WithJournal();
    directory.opened = opened;
    expect(directory.refused()).toBe('a file that was exchanged meanwhile');
  });

  test.each<[string, Partial<FileStatus>]>([
    ['a link', { kind: 'other' }],
    ['with two names', { links: 2n }],
    ['writable by its group', { mode: 0o620 }],
    ['writable by all', { mode: 0o602 }],
    ['of another user', { user: 4242 }],
  ])('one that is %s', (_, entry) => {
    const directory = new WithJournal();
    directory.entry = entry;
    expect(directory.refused()).toBe('something that another user could have put there');
  });

  test.each<[string, number, number]>([
    ['the owner of the image', 4242, 4242],
    ['root', 0, 4242],
    ['the user of this process', 777, 4242],
  ])('one of %s is used', (_, user, imageUser) => {
    vi.spyOn(process, 'geteuid').mockReturnValue(777);
    const directory = new WithJournal();
    directory.entry = { user };
    expect(directory.find({ user: imageUser })).toMatchObject({ state: 'hot' });
  });

  test('one that others may read, and only its owner write, is used', () => {
    const directory = new WithJournal();
    directory.entry = { mode: 0o744 };
    expect(directory.find()).toMatchObject({ state: 'hot' });
  });

  test('an undo file under its name', () => {
    expect(new WithJournal({ kind: 'undo' }).refused()).toBe('an undo file');
  });
});

test('a name of 255 bytes is not made shorter, one of 256 is', () => {
  // "." and ".kdhp-journal" are 14 bytes.
  expect(journalNameOf('n'.repeat(241))).toBe(`.${'n'.repeat(241)}.kdhp-journal`);
  expect(journalNameOf('n'.repeat(242))).toMatch(/^\.kdhp-[0-9a-f]{32}\.journal$/);
  expect(journalNameOf('n'.repeat(242))).not.toBe(journalNameOf('m'.repeat(242)));
});
