import { describe, expect, test } from 'vitest';
import { readImage } from '../../src/image/open.js';
import { InputFile } from '../../src/file/input-file.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { build, partsOf, type Parts } from '../helpers/build-image.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { imageOpener } from '../helpers/open-built.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const open = imageOpener(scratchFolder());
const packed = (): InputFile => InputFile.open(nodeFileSystem, fixtureImage('tiny-ppc64'));

describe('options that contradict the container', () => {
  test.each([
    ['a base', { base: 0n }, '--base and --map are for raw memory'],
    ['a map', { map: [] }, '--base and --map are for raw memory'],
    [
      'a segment table',
      { segmentTable: { segments: [], entry: undefined } },
      '--kexec-log is for memory; a packed image has its own segment table',
    ],
  ])('%s for a packed image', (_, options, problem) => {
    const file = packed();
    expect(thrown(() => readImage(file, options))).toMatchObject({ kind: 'usage', problem, details: { file: file.path } });
    file.close();
  });
});

describe('the page size', () => {
  const pageSize = (change: (parts: Parts) => void): bigint | null => {
    const parts = partsOf('ppc64le', { hotplug: true });
    change(parts);
    return open.packed(build(parts)).pageSize;
  };

  test('is the largest that all segments are made of, if there is one', () => {
    const resize = (memsz: bigint) => (parts: Parts) => {
      (parts.places.get('elfcorehdr') ?? expect.fail('none')).memsz = memsz;
    };
    expect(pageSize(resize(0x10000n))).toBe(0x10000n);
    expect(pageSize(resize(0x3000n))).toBe(0x1000n);
    expect(pageSize(resize(0x3800n))).toBeNull();
  });
});

test('a purgatory larger than 1 MiB is not searched for its region table', () => {
  const parts = partsOf('ppc64le');
  const place = parts.places.get('purgatory') ?? expect.fail('none');
  place.address = parts.crashKernel.start + 0x400000n;
  place.memsz = (1n << 20n) + 0x10000n;
  expect(open.packed(build(parts)).purgatory).toMatchObject({ regions: null, hasForeignTable: false });
});
