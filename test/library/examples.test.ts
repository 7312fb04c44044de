import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { build, packedFile, partsOf, ramFile } from '../helpers/build-image.js';
import { CAPTURES } from '../helpers/capture-image.js';
import { FIXTURES, copyOf, fixtureImage } from '../helpers/fixtures.js';
import { installLibrary } from '../helpers/library-package.js';
import { scratchFolder } from '../helpers/run.js';

// Every example, run as it stands by Node, with `kdump-hotplug` resolved as in an installed package.

const EXAMPLES = fileURLToPath(new URL('../../examples/library', import.meta.url));
const GUEST = join(CAPTURES, 'ppc64le-6.12-64k');

const folder = scratchFolder();
installLibrary(folder);
cpSync(EXAMPLES, folder, { recursive: true });

const BEFORE = fixtureImage('ppc64le-64k');
// The machine after 256 MiB and CPU 2 were added.
const IOMEM = join(GUEST, '02-mem-add-256M/iomem.txt');
const DEVICE_TREE = join(folder, 'device-tree');
mkdirSync(DEVICE_TREE);
execFileSync('tar', ['xf', join(GUEST, '02-mem-add-256M/device-tree.tar.gz'), '-C', DEVICE_TREE]);

const tried = new Set<string>();

/** The lines that an example prints. */
function example(name: string, ...args: string[]): string[] {
  tried.add(`${name}.mjs`);
  return script(`${name}.mjs`, ...args);
}

function script(name: string, ...args: string[]): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, name), ...args], { encoding: 'utf8', timeout: 60_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

const sameBytes = (a: string, b: string): boolean => readFileSync(a).equals(readFileSync(b));

describe('an image that is read', () => {
  test('inspect', () => {
    const lines = example('inspect', BEFORE);
    expect(lines).toContain('packed image of ppc64le');
    expect(lines).toContain('segment elfcorehdr at 0x229a0000');
    expect(lines).toContain('ram 0x40000000-0x7fffffff');
    expect(lines).toContain('CPU 1, threads 1');
    expect(lines).toContain('room for 9348 memory ranges and 70 CPUs');
    expect(lines.at(-1)).toMatch(/^info elfcorehdr-reservation-short: /);
  });

  test('inspect, of a guest’s memory', () => {
    const ram = ramFile(join(folder, 'guest.ram'), [build(partsOf('ppc64le'))]).path;
    expect(example('inspect', ram)).toContain('raw image of ppc64le');
    expect(example('capture', ram, join(folder, 'captured.kdump')).at(-1)).toMatch(/^\d segments packed$/);
    expect(example('inspect', join(folder, 'captured.kdump'))).toContain('packed image of ppc64le');
  });

  test('check', () => {
    expect(example('check', BEFORE, IOMEM, DEVICE_TREE)).toEqual([
      'sound: true, current: false, digest: match',
      'a dump would miss 0x80000000-0x8fffffff',
      'a crash on CPU 2 gives no dump',
    ]);
  });

  test('plan, which writes nothing', () => {
    const copy = copyOf('ppc64le-64k-no-hotplug', folder);
    const lines = example('plan', copy);
    expect(lines).toContain('add memory 0x80000000-0x8fffffff (256 MiB): to be made');
    expect(lines).toContain('add CPU 2: to be made');
    expect(lines).toContain('PowerPC,POWER9@2/reg: the CPU id');
    expect(lines).toContain("the purgatory's digest: rewritten");
    expect(sameBytes(copy, fixtureImage('ppc64le-64k-no-hotplug'))).toBe(true);
  });

  test('plan, of a change that is refused', () => {
    const { path } = packedFile(join(folder, 's390x.kdump'), build(partsOf('s390x')));
    expect(example('plan', path)).toEqual([expect.stringMatching(/^refused: images of this architecture are not changed; /)]);
  });

  test('file-system, which counts: opening reads little, the digest all', () => {
    const [opened, digest] = example('file-system', BEFORE);
    const [, read, size] = /^opened: (\d+) of (\d+) bytes read$/.exec(opened ?? '') ?? [];
    expect(Number(read)).toBeGreaterThan(0);
    expect(Number(size)).toBe(readFileSync(BEFORE).length);
    expect(digest).toMatch(/^digest: match; \d+ bytes read by now$/);
  });
});

describe('an image that is patched', () => {
  test('apply, and once more', () => {
    const copy = copyOf('ppc64le-64k', folder);
    expect(example('apply', copy)).toEqual([expect.stringMatching(/^\d+ bytes written and read back$/)]);
    expect(example('apply', copy)).toEqual(['nothing to do']);
    expect(example('diff', BEFORE, copy)).toEqual(['- memory 0x2fff089c-0x2fffffff', '+ memory 0x80000000-0x8fffffff', 'not the same']);
    expect(example('diff', copy, copy)).toEqual(['the same']);
  });

  test('sync, after which check is content', () => {
    const copy = copyOf('ppc64le-64k', folder);
    expect(example('sync', copy, IOMEM, DEVICE_TREE)).toEqual([
      'add memory 0x80000000-0x8fffffff (256 MiB)',
      'add CPU 2',
      expect.stringMatching(/^\d+ bytes written$/),
    ]);
    expect(example('check', copy, IOMEM, DEVICE_TREE)).toEqual(['sound: true, current: true, digest: match']);
    expect(example('sync', copy, IOMEM, DEVICE_TREE)).toEqual(['0 bytes written']);
  });

  test('undo gives the image back', () => {
    const copy = copyOf('ppc64le-64k-no-hotplug', folder);
    const [written, back] = example('undo', copy, join(folder, 'undo-file'));
    expect(written).toMatch(/^[1-9]\d* bytes written$/);
    expect(back).toMatch(/^[1-9]\d* bytes rolled back$/);
    expect(sameBytes(copy, fixtureImage('ppc64le-64k-no-hotplug'))).toBe(true);
  });

  test('recover rolls back what a kill interrupted', () => {
    const copy = copyOf('ppc64le-64k', folder);
    expect(example('recover', copy)).toEqual(['none']);
    copyFileSync(fileURLToPath(new URL('interrupted.mjs', import.meta.url)), join(folder, 'interrupted.mjs'));
    expect(spawnSync(process.execPath, [join(folder, 'interrupted.mjs'), copy]).signal).toBe('SIGKILL');
    expect(sameBytes(copy, BEFORE)).toBe(false);
    expect(example('recover', copy)).toEqual(['rolled back']);
    expect(sameBytes(copy, BEFORE)).toBe(true);
  });
});

describe('images that are made and taken apart', () => {
  test('pack and extract', () => {
    const made = join(folder, 'tiny.kdump');
    // The manifest names files beside it.
    const [packed] = example('pack', join(FIXTURES, 'manifests/tiny-ppc64.json'), made);
    expect(packed).toMatch(/^\d segments packed$/);
    const parts = join(folder, 'parts');
    const lines = example('extract', BEFORE, parts);
    expect(lines).toHaveLength(6);
    expect(readdirSync(parts)).toContain('fdt-3fff0000.bin');
    expect(lines).toContain(`${join(parts, 'elfcorehdr-229a0000.bin')}: 524288 bytes`);
  });
});

describe('the parts by themselves', () => {
  test('elfcorehdr', () => {
    const changed = join(folder, 'changed.bin');
    expect(example('elfcorehdr', join(GUEST, '00-loaded/elfcorehdr.bin'), changed)).toEqual([
      '13 program headers, lsb',
      '848 bytes, 14 program headers',
    ]);
    expect(readFileSync(changed)).toHaveLength(64 + 14 * 56);
  });

  test('fdt', () => {
    const changed = join(folder, 'changed.dtb');
    expect(example('fdt', join(GUEST, '00-loaded/fdt.dtb'), changed)).toEqual([
      '/cpus/PowerPC,POWER9@0: reg 0',
      '/cpus/PowerPC,POWER9@1: reg 1',
      expect.stringMatching(/^27474 bytes, \d+ free, not grown$/),
      'model = "edited";',
      'example,range = <0x00 0x80000000 0x00 0x10000000>;',
    ]);
    expect(readFileSync(changed)).toHaveLength(27474);
  });

  test('changes', () => {
    const file = join(folder, 'changes.json');
    writeFileSync(file, '{ "changes": [{ "action": "online", "memory": { "start": "0x80000000", "size": "256M" } }] }');
    expect(example('changes', file)).toEqual([
      'add memory 0x80000000-0x8fffffff (256 MiB)',
      '{"action":"add","memory":{"start":"0x80000000","size":268435456}}',
      expect.stringMatching(/^usage: memory\.size: /),
    ]);
  });
});

test('every example is run here', () => {
  expect([...tried].sort()).toEqual(
    readdirSync(EXAMPLES)
      .filter((file) => file.endsWith('.mjs'))
      .sort(),
  );
});
