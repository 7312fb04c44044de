import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { makeFile } from '../../src/file/new-file.js';
import { diskWith, FOLDER, IMAGE, IMAGE_PATH, ModelFileSystem } from '../helpers/model-file-system.js';
import { thrown } from '../helpers/thrown.js';

const BYTES = Uint8Array.of(1, 2, 3);
const fill =
  (fileSystem: ModelFileSystem) =>
  (descriptor: number): void => {
    fileSystem.write(descriptor, BYTES, 0);
  };

describe('a new file', () => {
  test('has its name once it is whole and on the disk', () => {
    const fileSystem = new ModelFileSystem({ names: new Map(), data: new Map() });
    makeFile(fileSystem, IMAGE_PATH, false, fill(fileSystem));
    expect(fileSystem.operations.map(({ kind }) => kind)).toEqual(['create', 'write', 'sync', 'rename', 'sync-directory']);
    expect(fileSystem.contents(IMAGE)).toEqual(BYTES);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('does not replace one that is there, unless that is asked for', () => {
    const fileSystem = new ModelFileSystem(diskWith(Uint8Array.of(9)));
    expect(
      thrown(() => {
        makeFile(fileSystem, IMAGE_PATH, false, fill(fileSystem));
      }),
    ).toMatchObject({
      kind: 'io',
      problem: 'it exists already',
      details: { file: IMAGE_PATH, remedy: 'give another name, or --overwrite' },
    });
    expect(fileSystem.operations).toEqual([]);
    makeFile(fileSystem, IMAGE_PATH, true, fill(fileSystem));
    expect(fileSystem.contents(IMAGE)).toEqual(BYTES);
  });

  test('is made anew where a temporary file is left over', () => {
    const fileSystem = new ModelFileSystem({ names: new Map([[`${IMAGE}.partial`, 20]]), data: new Map([[20, new Uint8Array(100)]]) });
    makeFile(fileSystem, IMAGE_PATH, false, fill(fileSystem));
    expect(fileSystem.contents(IMAGE)).toEqual(BYTES);
  });

  test.each(['fill', 'check'])('that fails to %s leaves nothing, and what was there', (step) => {
    const fileSystem = new ModelFileSystem(diskWith(Uint8Array.of(9)));
    const fail = (): never => {
      throw new KdumpError('io', 'failed');
    };
    const seen: string[] = [];
    const made = (): void => {
      makeFile(fileSystem, IMAGE_PATH, true, step === 'fill' ? fail : fill(fileSystem), (temporary) => {
        seen.push(temporary);
        fail();
      });
    };
    expect(thrown(made).problem).toBe('failed');
    expect(seen).toEqual(step === 'fill' ? [] : [`${FOLDER}/${IMAGE}.partial`]);
    expect([...fileSystem.disk.names.keys()]).toEqual([IMAGE]);
    expect(fileSystem.contents(IMAGE)).toEqual(Uint8Array.of(9));
    expect(fileSystem.openFiles).toBe(0);
  });
});
