import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeJournal } from '../../src/journal/journal.js';
import { readCommitted } from '../../src/journal/read-committed.js';
import { recover, type RecoverOptions } from '../../src/patch/recover.js';
import { openTarget } from '../../src/patch/target.js';
import { thrown } from '../helpers/thrown.js';
import { diskWith, IMAGE, IMAGE_INODE, IMAGE_PATH, JOURNAL, ModelFileSystem } from '../helpers/model-file-system.js';
import { copied } from './power-cut-model.js';

// The table in docs/journal.md, row by row.

const OLD = new Uint8Array(1024).fill(1);
const NEW = OLD.slice().fill(2, 100, 300);
const MARKER = 100;

function disk(image: Uint8Array, { boot = 1, live = false, of = {} } = {}): ReturnType<typeof diskWith> {
  return diskWith(
    image,
    encodeJournal({
      kind: 'journal',
      live,
      transaction: new Uint8Array(16),
      image: { device: BigInt(40 + boot), inode: BigInt(IMAGE_INODE), size: 1024n, birthTime: 7n, ...of },
      bootId: String(boot).padStart(36, '0'),
      records: [{ position: 0, before: OLD, after: NEW }],
      markers: [MARKER],
    }),
  );
}

function recovered(
  start: ReturnType<typeof diskWith>,
  options: RecoverOptions = {},
): { said: string; image: Uint8Array; journal: boolean } {
  const fileSystem = new ModelFileSystem(copied(start));
  const said = recover(openTarget(fileSystem, IMAGE_PATH), options);
  return { said, image: fileSystem.contents(IMAGE) ?? new Uint8Array(), journal: fileSystem.contents(JOURNAL) !== undefined };
}

function refused(start: ReturnType<typeof diskWith>, options: RecoverOptions = {}): string {
  const fileSystem = new ModelFileSystem(copied(start));
  const error = thrown(() => recover(openTarget(fileSystem, IMAGE_PATH), options));
  expect(error.kind).toBe('refused');
  expect(fileSystem.operations).toEqual([]);
  return error.message;
}

const mixed = NEW.slice();
mixed.fill(1, 200, 250)[MARKER] = 0;
const mixedUnmarked = mixed.slice();
mixedUnmarked[MARKER] = 1;
const foreign = mixed.slice();
foreign[150] = 77;

describe('recovery', () => {
  test('without a journal there is nothing to do', () => {
    expect(recovered(diskWith(NEW))).toEqual({ said: 'none', image: NEW, journal: false });
  });

  test('a journal that is not whole is removed; the image was not touched', () => {
    expect(recovered(diskWith(OLD, new Uint8Array(4160)))).toEqual({ said: 'untouched', image: OLD, journal: false });
    expect(recovered(diskWith(OLD, new Uint8Array()))).toEqual({ said: 'untouched', image: OLD, journal: false });
  });

  describe('a journal that the disk damaged', () => {
    const damaged = (image: Uint8Array, at: number): ReturnType<typeof diskWith> => {
      const start = disk(image);
      const inode = start.names.get(JOURNAL) ?? 0;
      const bytes = (start.data.get(inode) ?? new Uint8Array()).slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x55;
      return { ...start, data: new Map([...start.data, [inode, bytes]]) };
    };
    /** In the header, the old bytes, the new ones and the trailer. */
    const PLACES = [40, 130, 4096 + 8 + 16 + 5, 4096 + 8 + 16 + 1024 + 5, -20];
    const at = (place: number): number => (place < 0 ? encodedLength + place : place);
    const encodedLength = 4096 + 8 + 16 + 2 * 1024 + 64;

    test.each(PLACES)('at %d: refused and kept while a marker stands in the image, for readers too', (place) => {
      const message = refused(damaged(mixed, at(place)));
      expect(message).toMatch(/offset 0x64.*half-written image.*keep copies of both.*recover --force/);
      const reading = new ModelFileSystem(damaged(mixed, at(place)));
      expect(thrown(() => readCommitted(reading, IMAGE_PATH, (file) => file.read(0, 4))).message).toContain('which is damaged');
      expect(recovered(damaged(mixed, at(place)), { force: true })).toEqual({ said: 'untouched', image: mixed, journal: false });
    });

    test.each(PLACES)('at %d: removed where no marker stands: the image is old, or all of it is new', (place) => {
      expect(recovered(damaged(OLD, at(place)))).toEqual({ said: 'untouched', image: OLD, journal: false });
      expect(recovered(damaged(NEW, at(place)))).toEqual({ said: 'untouched', image: NEW, journal: false });
    });

    test.each([
      ['its magic', 3],
      ['the number of its markers', 28 + 2],
      ['a position', 4096 + 6],
    ])('in %s: refused and kept, since it does not tell', (_, place) => {
      expect(refused(damaged(OLD, place))).toContain('bytes of no journal');
    });

    test('by zeros in place of its markers: as one of which these never reached the disk', () => {
      const start = disk(OLD);
      const inode = start.names.get(JOURNAL) ?? 0;
      const bytes = (start.data.get(inode) ?? new Uint8Array()).slice().fill(0, 4096, 4608);
      expect(recovered({ ...start, data: new Map([...start.data, [inode, bytes]]) })).toMatchObject({ said: 'untouched', journal: false });
    });
  });

  describe.each([
    ['in the same boot', 1],
    ['after a restart', 7],
  ])('%s', (_, boot) => {
    test.each([
      ['old', OLD, 'rolled back', OLD],
      ['new', NEW, 'rolled forward', NEW],
      ['a mix, with a marker', mixed, 'rolled back', OLD],
      ['a mix without one', mixedUnmarked, 'rolled back', OLD],
    ])('an image that holds %s', (_name, image, said, result) => {
      expect(recovered(disk(image, { boot }))).toEqual({ said, image: result, journal: false });
      expect(recovered(disk(image, { boot }), { rollForward: true })).toEqual({ said: 'rolled forward', image: NEW, journal: false });
      expect(recovered(disk(image, { boot }), { force: true })).toEqual({ said: 'rolled back', image: OLD, journal: false });
    });

    test('a byte that is neither proves that somebody else wrote', () => {
      expect(refused(disk(foreign, { boot }))).toContain('somebody else wrote');
      expect(refused(disk(foreign, { boot }), { rollForward: true })).toContain('0x96');
      expect(recovered(disk(foreign, { boot }), { force: true }).image).toEqual(OLD);
      expect(recovered(disk(foreign, { boot }), { force: true, rollForward: true }).image).toEqual(NEW);
    });
  });

  test('a whole image is never marked as half of one meanwhile', () => {
    for (const image of [OLD, NEW]) {
      const fileSystem = new ModelFileSystem(copied(disk(image)));
      recover(openTarget(fileSystem, IMAGE_PATH));
      const writes = fileSystem.operations.filter((operation) => operation.kind === 'write');
      expect(writes).toMatchObject([{ position: 0, bytes: image }]);
    }
  });

  describe('a journal that names another file, as after cp -a', () => {
    const other = { inode: 99n, device: 5n };

    test('is used where a marker stands, or nothing was written', () => {
      expect(recovered(disk(mixed, { of: other }))).toEqual({ said: 'rolled back', image: OLD, journal: false });
      expect(recovered(disk(OLD, { of: other }))).toEqual({ said: 'rolled back', image: OLD, journal: false });
    });

    test.each([
      ['all that is new', NEW],
      ['a mix without a marker', mixedUnmarked],
    ])('is adopted by --force only where the image has %s', (_, image) => {
      expect(refused(disk(image, { of: other }))).toContain('recover --force');
      expect(recovered(disk(image, { of: other }), { force: true }).image).toEqual(OLD);
      expect(recovered(disk(image, { of: other }), { force: true, rollForward: true }).image).toEqual(NEW);
    });

    test('is never used where the image has other bytes or another size', () => {
      for (const force of [false, true]) {
        expect(refused(disk(foreign, { of: other }), { force })).toContain('keep it: it may be the only copy');
        expect(refused(disk(mixed, { of: { size: 2000n } }), { force })).toContain('journal of another file');
        expect(refused(disk(mixed.subarray(0, 1000), { of: {} }), { force })).toContain('journal of another file');
      }
    });
  });

  test.each([
    ['the number of the device, which changes when it is mounted again', { device: 5n }, NEW],
    ['a time of birth that was not known', { birthTime: 0n }, NEW],
  ])('of which file it is does not depend on %s', (_, of, image) => {
    expect(recovered(disk(image, { of }))).toMatchObject({ said: 'rolled forward', image: NEW });
  });

  test('of which file it is depends on the time of birth: inodes are used again', () => {
    expect(refused(disk(NEW, { of: { birthTime: 8n } }))).toContain('another inode or time of birth');
  });

  test('a zero is a marker only where there is one', () => {
    const zero = mixed.slice();
    zero[MARKER + 1] = 0;
    expect(refused(disk(zero))).toContain('somebody else wrote');
  });

  test('the memory of a guest does not outlive a restart', () => {
    expect(refused(disk(mixed, { boot: 7, live: true }))).toContain('restarted');
    expect(recovered(disk(mixed, { boot: 7, live: true }), { force: true }).image).toEqual(OLD);
    expect(recovered(disk(mixed, { live: true })).image).toEqual(OLD);
  });

  test('an undo file in the place of a journal is refused, and not removed', () => {
    const start = diskWith(
      OLD,
      encodeJournal({
        kind: 'undo',
        live: false,
        transaction: new Uint8Array(16),
        image: { device: 41n, inode: BigInt(IMAGE_INODE), size: 1024n, birthTime: 7n },
        bootId: '1'.padStart(36, '0'),
        records: [{ position: 0, before: NEW, after: OLD }],
        markers: [],
      }),
    );
    expect(refused(start)).toContain('an undo file');
  });

  test('a whole journal of another version is refused, and not removed', () => {
    const bytes = Uint8Array.from(disk(mixed).data.get(IMAGE_INODE + 1) ?? []);
    bytes[8] = 2;
    bytes.fill(0, 128, 160);
    bytes.set(createHash('sha256').update(bytes).digest(), 128);
    expect(refused(diskWith(mixed, bytes))).toContain('another version');
  });
});
