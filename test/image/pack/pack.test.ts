import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../../src/arch/registry.js';
import { nodeFileSystem } from '../../../src/file/node-file-system.js';
import { packImage, segmentSources, sourceOfBytes, type SegmentSource } from '../../../src/image/pack/pack.js';
import { build, partsOf, type Built } from '../../helpers/build-image.js';
import { imageOpener } from '../../helpers/open-built.js';
import { scratchFolder } from '../../helpers/run.js';
import { thrown } from '../../helpers/thrown.js';

const folder = scratchFolder();
const open = imageOpener(folder);
const architecture = architectureNamed('ppc64le');
const built = build(partsOf('ppc64le'));

const sourcesOf = ({ segments }: Built): SegmentSource[] =>
  segments.map(({ role, address, memsz, bytes }) => sourceOfBytes({ name: role, address, memsz }, bytes));
const pack = (path: string, segments: readonly SegmentSource[], overwrite = false): void => {
  packImage(nodeFileSystem, path, { architecture, entry: null, segments }, overwrite);
};

describe('packImage', () => {
  test('the same segments give the same bytes, in whatever order they come', () => {
    const [one, other] = [join(folder, 'one'), join(folder, 'other')];
    pack(one, sourcesOf(built));
    pack(other, sourcesOf(built).reverse());
    expect(readFileSync(one).equals(readFileSync(other))).toBe(true);
  });

  test('a file that is there is replaced only where that is asked for', () => {
    const path = join(folder, 'there');
    writeFileSync(path, 'precious');
    expect(
      thrown(() => {
        pack(path, sourcesOf(built));
      }).kind,
    ).toBe('io');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    pack(path, sourcesOf(built), true);
    expect(readFileSync(path).subarray(0, 4)).toEqual(Buffer.from('\x7fELF', 'latin1'));
  });

  test('what is no kdump image leaves no file, and the error names the one that was wanted', () => {
    const path = join(folder, 'headless');
    const headless = sourcesOf(built).filter(({ name }) => name !== 'elfcorehdr');
    expect(
      thrown(() => {
        pack(path, headless);
      }),
    ).toMatchObject({
      kind: 'input',
      problem: 'the image has no elfcorehdr segment',
      details: { file: path },
    });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('headless'))).toEqual([]);
  });
});

describe('segmentSources', () => {
  const sizes = (image: ReturnType<typeof open.packed>): Record<string, number> =>
    Object.fromEntries(segmentSources(image).map(({ name, size }) => [name, Number(size)]));

  test('of a packed image are as they were loaded, elfcorehdr and FDT at full memsz', () => {
    expect(sizes(open.packed(built))).toMatchObject({ kernel: 0x9000, purgatory: 0x400, elfcorehdr: 0x10000, fdt: 0x10000 });
  });

  test('of memory end with the last byte that is not zero', () => {
    const parts = partsOf('ppc64le');
    const found = sizes(open.raw(build(parts)));
    // Contents are text over and over, but for its end.
    expect(found.kernel).toBe(0x9000);
    expect(found.elfcorehdr).toBeGreaterThanOrEqual(0x10000);
  });

  test('give their contents', () => {
    for (const source of segmentSources(open.packed(built))) {
      const pieces: Buffer[] = [];
      for (const piece of source.contents()) pieces.push(Buffer.from(piece));
      const whole = Buffer.concat(pieces);
      const wanted = built.segments.find(({ role }) => role === source.name)?.bytes ?? expect.fail(source.name);
      expect(whole.subarray(0, wanted.length).equals(wanted)).toBe(true);
    }
  });

  test('of a segment that is all zeros are none', () => {
    const parts = partsOf('ppc64le');
    const image = build(parts);
    image.segments.find(({ role }) => role === 'kernel')?.bytes.fill(0);
    const kernel = segmentSources(open.raw(image)).find(({ name }) => name === 'kernel') ?? expect.fail('no kernel');
    expect(kernel.size).toBe(0n);
    expect([...kernel.contents()]).toEqual([]);
  });
});
