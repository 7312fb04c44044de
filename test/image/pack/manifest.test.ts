import { describe, expect, test } from 'vitest';
import { parseManifest, parseSegmentOperand, type Manifest } from '../../../src/image/pack/manifest.js';
import { thrown } from '../../helpers/thrown.js';

const bare = { name: 'kernel', address: '0x1000', memsz: '4K' };
const KERNEL = { ...bare, file: 'vmlinux' };
const manifest = (...segments: unknown[]): Manifest => parseManifest(JSON.stringify({ architecture: 'ppc64le', segments }));

describe('a manifest', () => {
  test('in every form of contents and numbers', () => {
    const text = JSON.stringify({
      architecture: 'riscv64',
      entry: '0x80000000',
      segments: [
        KERNEL,
        { name: 'fdt', address: 8192, memsz: 16, hex: 'd0 0d\nfeED' },
        { name: 'initrd', address: '0x3000', memsz: 10, fill: 255 },
        { name: 'backup', address: '0x4000', memsz: 10, fill: 0 },
        { name: 'other', address: '0x5000', memsz: 10, fill: '0x7f', size: 4 },
        {
          name: 'purgatory',
          address: '0x6000',
          memsz: '0x1000',
          hex: '',
          digest: { tableOffset: '0x100', digestOffset: 512, covers: ['kernel', 'initrd'] },
        },
      ],
    });
    expect(parseManifest(text)).toMatchObject({
      architecture: { name: 'riscv64' },
      entry: 0x80000000n,
      segments: [
        { name: 'kernel', address: 0x1000n, memsz: 0x1000n, contents: { kind: 'file', path: 'vmlinux' } },
        { address: 0x2000n, contents: { kind: 'hex', bytes: Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed) } },
        { contents: { kind: 'fill', byte: 255, size: 10n } },
        { contents: { kind: 'fill', byte: 0, size: 0n } },
        { contents: { kind: 'fill', byte: 127, size: 4n } },
        {
          contents: { kind: 'hex', bytes: new Uint8Array() },
          digest: { tableOffset: 256n, digestOffset: 512n, covers: ['kernel', 'initrd'] },
        },
      ],
    });
  });

  test('of version 0.1, with memorySize and cmdline, says the same', () => {
    const former = { name: 'cmdline', address: '0x1000', memorySize: '4K', fill: 0 };
    expect(manifest(former).segments).toEqual(manifest({ ...bare, name: 'boot-params', fill: 0 }).segments);
    expect(thrown(() => manifest({ ...former, memsz: '4K' })).problem).toBe('memsz and memorySize are the same');
    expect(parseSegmentOperand('cmdline=file@0x1000')).toEqual(parseSegmentOperand('boot-params=file@0x1000'));
  });

  test('has no entry where none is given', () => {
    expect(manifest(KERNEL).entry).toBeNull();
    expect(parseManifest('{"architecture":"ppc64le","entry":null,"segments":[]}').entry).toBeNull();
  });
});

describe('a wrong manifest names the place', () => {
  test.each<[string, () => unknown, string, string]>([
    ['no document', () => parseManifest(' '), '', 'not one JSON document'],
    ['two documents', () => parseManifest('{}\n{}'), '', 'not one JSON document'],
    ['no architecture', () => parseManifest('{"segments":[]}'), 'architecture', ''],
    ['an architecture that is a number', () => parseManifest('{"architecture":7,"segments":[]}'), 'architecture', ''],
    ['segments that are no list', () => parseManifest('{"architecture":"ppc64le","segments":{}}'), 'segments', ''],
    ['17 segments', () => manifest(...Array<unknown>(17).fill(KERNEL)), 'segments', 'too many segments'],
    ['an unknown name', () => manifest({ ...KERNEL, name: 'dtb' }), 'segments[0].name', ''],
    ['no address', () => manifest(KERNEL, { ...KERNEL, address: undefined }), 'segments[1].address', ''],
    ['no memory', () => manifest({ ...KERNEL, memsz: 0 }), 'segments[0].memsz', 'segment is empty'],
    ['no contents', () => manifest(bare), 'segments[0]', 'the contents are not given once'],
    ['contents twice', () => manifest({ ...KERNEL, fill: 0 }), 'segments[0]', 'the contents are not given once'],
    ['a file without a name', () => manifest({ ...bare, file: '' }), 'segments[0].file', ''],
    ['a file that is a number', () => manifest({ ...bare, file: 7 }), 'segments[0].file', ''],
    ['the size of a file', () => manifest({ ...KERNEL, size: 7 }), 'segments[0].size', 'size goes with fill'],
    ['a fill that is no byte', () => manifest({ ...bare, fill: 256 }), 'segments[0].fill', ''],
    ['hex that is a number', () => manifest({ ...bare, hex: 12 }), 'segments[0].hex', ''],
    ['half a byte', () => manifest({ ...bare, hex: 'abc' }), 'segments[0].hex', ''],
    ['other letters', () => manifest({ ...bare, hex: 'gg' }), 'segments[0].hex', ''],
    ['an unknown field', () => manifest({ ...KERNEL, mem: 1 }), 'segments[0]', ''],
    [
      'a digest of an unknown segment',
      () => manifest({ ...KERNEL, digest: { tableOffset: 0, digestOffset: 0, covers: ['fdt', 'x'] } }),
      'segments[0].digest.covers[1]',
      '',
    ],
    [
      'a digest without its place',
      () => manifest({ ...KERNEL, digest: { tableOffset: 0, covers: [] } }),
      'segments[0].digest.digestOffset',
      '',
    ],
  ])('%s', (_name, parse, place, problem) => {
    const error = thrown(parse);
    expect(error.kind).toBe('usage');
    expect(error.details.segment ?? '').toContain(place);
    expect(error.problem).toContain(problem);
  });
});

describe('a segment on the command line', () => {
  test('has an address, and a memsz or none', () => {
    expect(parseSegmentOperand('fdt=a@b.dtb@0x3000')).toEqual({ name: 'fdt', path: 'a@b.dtb', address: 0x3000n, memsz: null });
    expect(parseSegmentOperand('initrd=i@4096+2M')).toEqual({ name: 'initrd', path: 'i', address: 4096n, memsz: 0x200000n });
  });

  test.each(['', 'fdt', 'fdt=x', 'fdt=@1', 'dtb=x@1', 'fdt=x@', 'fdt=x@1+', 'fdt=x@1+2+3', 'FDT=x@1'])('is not: %s', (text) => {
    expect(thrown(() => parseSegmentOperand(text))).toMatchObject({ kind: 'usage', problem: 'not a segment' });
  });
});
