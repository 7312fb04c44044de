import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { commitPatch, preparePatch, type Patch } from '../../src/patch/commit.js';
import { openTarget, type PatchTarget } from '../../src/patch/target.js';
import { diskWith, IMAGE, IMAGE_PATH, JOURNAL, ModelFileSystem, type Operation } from '../helpers/model-file-system.js';
import { thrown } from '../helpers/thrown.js';

const PATCH: Patch = { runs: [{ position: 10, before: Uint8Array.of(1, 1), after: Uint8Array.of(2, 3) }], markers: [8] };

/** An image of 32 bytes, each 1, opened for patching. `fails` is asked before each write and sync. */
class Disk extends ModelFileSystem {
  readonly image = new Uint8Array(32).fill(1);
  fails: (done: readonly Operation[], call: 'write' | 'sync') => unknown = () => undefined;

  constructor(sparse = false) {
    const image = new Uint8Array(32).fill(1);
    super(diskWith(image), { boot: 1, sparse });
    this.image = image;
  }

  target(): PatchTarget {
    return openTarget(this, IMAGE_PATH);
  }
  override write(descriptor: number, bytes: Uint8Array, position: number): void {
    this.fail('write');
    super.write(descriptor, bytes, position);
  }
  override sync(descriptor: number): void {
    this.fail('sync');
    super.sync(descriptor);
  }
  get hasJournal(): boolean {
    return this.contents(JOURNAL) !== undefined;
  }
  /** Bytes from 8 on. */
  get bytes(): number[] {
    return [...(this.contents(IMAGE) ?? [])].slice(8, 12);
  }
  private fail(call: 'write' | 'sync'): void {
    const error = this.fails(this.operations, call);
    if (error !== undefined) throw error as Error;
  }
}

const isRemoved = (done: readonly Operation[]): boolean => done.some(({ kind }) => kind === 'remove');
const syncsOf = (done: readonly Operation[]): number => done.filter(({ kind }) => kind === 'sync-directory').length;

describe('commitPatch', () => {
  test('writes the runs and leaves no journal', () => {
    const disk = new Disk();
    commitPatch(disk.target(), PATCH, { live: false });
    expect(disk.bytes).toEqual([1, 1, 2, 3]);
    expect(disk.hasJournal).toBe(false);
  });

  test('of somebody’s memory writes nothing but what changes, and syncs the journal only', () => {
    const disk = new Disk(true);
    commitPatch(disk.target(), PATCH, { live: true });
    const writes = disk.operations.flatMap((each) => (each.kind === 'write' && each.inode === 10 ? [[each.position, ...each.bytes]] : []));
    // The marker, the run, and the first byte that the marker stood on.
    expect(writes).toEqual([
      [8, 0],
      [10, 2, 3],
      [8, 1],
    ]);
    expect(disk.operations.filter(({ kind }) => kind === 'sync')).toHaveLength(1);
  });

  test('fills the holes of a file first, with what they hold', () => {
    const disk = new Disk(true);
    commitPatch(disk.target(), PATCH, { live: false });
    const first = disk.operations.find((each) => each.kind === 'write' && each.inode === 10);
    expect(first).toMatchObject({ position: 0, bytes: new Uint8Array(32).fill(1) });
  });

  test.each([
    ['a KdumpError', new KdumpError('io', 'cannot sync (EIO)', { file: IMAGE_PATH }), 'cannot sync (EIO)'],
    ['any other error', new Error('boom'), 'Error: boom'],
  ])('whose end does not reach the disk is made all the same, and says so: %s', (_, cause, problem) => {
    const disk = new Disk();
    disk.fails = (done, call) => (call === 'sync' && isRemoved(done) ? cause : undefined);
    expect(
      thrown(() => {
        commitPatch(disk.target(), PATCH, { live: false });
      }),
    ).toMatchObject({
      kind: 'io',
      problem,
      details: { remedy: 'the change is made and read back; only a power cut now could still take it back', cause },
    });
    expect(disk.bytes).toEqual([1, 1, 2, 3]);
  });

  test('that fails and cannot be rolled back leaves its journal, and says what to do', () => {
    const disk = new Disk();
    const cause = new KdumpError('io', 'cannot write (EIO)', { file: IMAGE_PATH });
    disk.fails = (done, call) =>
      call === 'write' && syncsOf(done) > 0 && done.some((each) => each.kind === 'write' && each.inode === 10) ? cause : undefined;
    expect(
      thrown(() => {
        commitPatch(disk.target(), PATCH, { live: false });
      }),
    ).toMatchObject({
      kind: 'io',
      problem: 'cannot write (EIO)',
      details: { remedy: 'the image is half written and its journal beside it is whole: run recover once the cause is gone', cause },
    });
    expect(disk.hasJournal).toBe(true);
  });

  test('whose journal cannot be looked for afterwards counts as one that left it', () => {
    const disk = new Disk();
    disk.fails = (done, call) => (call === 'write' && syncsOf(done) > 0 ? new KdumpError('io', 'cannot write (EIO)') : undefined);
    const target = disk.target();
    disk.statusIn = () => {
      throw new KdumpError('io', 'cannot look');
    };
    expect(
      thrown(() => {
        commitPatch(target, PATCH, { live: false });
      }).details.remedy,
    ).toContain('run recover');
  });

  test('that was rolled back, and only that did not reach the disk: the first error is told', () => {
    const disk = new Disk();
    const target = disk.target();
    let isReplaced = false;
    const statusIn = disk.statusIn.bind(disk);
    disk.statusIn = (directory, name) => {
      const status = statusIn(directory, name);
      return isReplaced && status !== undefined && name === IMAGE ? { ...status, inode: 999n } : status;
    };
    disk.fails = (done, call) => {
      isReplaced ||= done.some((each) => each.kind === 'write' && each.inode === 10);
      return call === 'sync' && isRemoved(done) ? new KdumpError('io', 'cannot sync (EIO)') : undefined;
    };
    expect(
      thrown(() => {
        commitPatch(target, PATCH, { live: false });
      }),
    ).toMatchObject({
      problem: 'the file was replaced while it was patched',
      details: { remedy: 'the file that has this name now was not touched' },
    });
    expect(disk.bytes).toEqual([1, 1, 1, 1]);
    expect(disk.hasJournal).toBe(false);
  });

  test('of bytes that are others by now is refused, before there is a journal', () => {
    const disk = new Disk();
    const target = disk.target();
    disk.image[11] = 9;
    expect(
      thrown(() => {
        commitPatch(target, PATCH, { live: false });
      }),
    ).toMatchObject({
      kind: 'refused',
      problem: 'the image changed while the change was planned',
      details: { file: IMAGE_PATH, offset: 10 },
    });
    expect(disk.operations).toEqual([]);
  });
});

describe('preparePatch', () => {
  test('writes the journal and nothing else; abandoned, nothing is left of it', () => {
    const disk = new Disk();
    const prepared = preparePatch(disk.target(), PATCH, { live: true }, true);
    expect(disk.hasJournal).toBe(true);
    prepared.abandon();
    expect(disk.hasJournal).toBe(false);
    expect(disk.operations.at(-1)).toEqual({ kind: 'sync-directory' });
    expect(disk.bytes).toEqual([1, 1, 1, 1]);
  });

  test.each([
    ['a byte of a run', 11],
    ['the byte under a marker', 8],
  ])('looks once more before it writes: %s', (_, changed) => {
    const disk = new Disk();
    const prepared = preparePatch(disk.target(), PATCH, { live: true }, true);
    disk.image[changed] = 9;
    expect(
      thrown(() => {
        prepared.write();
      }),
    ).toMatchObject({ kind: 'refused', problem: 'the image changed while the change was planned' });
    expect(disk.hasJournal).toBe(false);
    expect(disk.image.filter((byte) => byte !== 1)).toEqual(Uint8Array.of(9));
  });

  test('writes once it is told to', () => {
    const disk = new Disk();
    const prepared = preparePatch(disk.target(), PATCH, { live: true }, true);
    prepared.write();
    prepared.finish();
    expect(disk.bytes).toEqual([1, 1, 2, 3]);
    expect(disk.hasJournal).toBe(false);
  });
});
