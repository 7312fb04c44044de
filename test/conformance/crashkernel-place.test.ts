import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { build, coreFile, partsOf, ramFile } from '../helpers/build-image.js';
import { Capture } from '../helpers/capture-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { has, scratchFolder, type RunResult } from '../helpers/run.js';

// Where a machine has its crashkernel range is known from /proc/iomem, on ppc64 from /chosen of its device tree: there an image is looked for.

const folder = scratchFolder();
const fresh = (name: string): string => join(mkdtempSync(join(folder, 'x')), name);

/** The files of another machine, in the places of this one's. */
function machineWith(files: Readonly<Record<string, string>>): FileSystem {
  const there = (path: string): string => {
    const [from, to] = Object.entries(files).find(([name]) => path === name || path.startsWith(`${name}/`)) ?? [];
    if (from !== undefined && to !== undefined) return to + path.slice(from.length);
    return path.startsWith('/proc/device-tree') || path.startsWith('/sys/') ? '/nowhere' : path;
  };
  return {
    ...nodeFileSystem,
    open: (path, mode) => nodeFileSystem.open(there(path), mode),
    exists: (path) => nodeFileSystem.exists(there(path)),
    kindOf: (path) => nodeFileSystem.kindOf(there(path)),
    readStart: (path, limit) => nodeFileSystem.readStart(there(path), limit),
    list: (path) => nodeFileSystem.list(there(path)),
    realPath: (path) => nodeFileSystem.realPath(there(path)),
  };
}

const one = ({ stdout, stderr }: RunResult): void => {
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
};

describe.skipIf(!has('tar'))('a ppc64le machine, whose /proc/iomem has no "Crash kernel" line', () => {
  const capture = new Capture('ppc64le-6.12-64k');
  const { path: ram } = capture.ramFile(mkdtempSync(join(folder, 'ram')));
  const step = dirname(capture.deviceTreeArchive('00-loaded'));
  const iomem = join(step, 'iomem.txt');
  const tree = mkdtempSync(join(folder, 'tree'));
  execFileSync('tar', ['xzf', capture.deviceTreeArchive('00-loaded'), '-C', tree]);
  const RANGE = '0x20000000-0x3fffffff';
  const CHOSEN = 'linux,crashkernel-base in /chosen of the device tree';

  test.each([
    ['--iomem', iomem, '--device-tree', tree],
    ['--device-tree', tree],
  ])('is searched where its device tree says', (...options) => {
    const output = fresh('captured.kdump');
    const result = run(['capture', ram, ...options, '-o', output, '--verbose']);
    expect(result.status).toBe(0);
    expect(result.stderr).toContain(`crashkernel range ${RANGE}: ${CHOSEN}`);
    expect(run(['diff', ram, output])).toMatchObject({ status: 0 });
    const check = run(['check', ram, ...options, '--verbose']);
    expect(check).toMatchObject({ status: 0 });
    expect(check.stderr).toContain(`crashkernel range ${RANGE}: ${CHOSEN}`);
  });

  test('an iomem without the line says nothing: all memory is searched', () => {
    const output = fresh('captured.kdump');
    expect(run(['capture', ram, '--iomem', iomem, '-o', output])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['diff', ram, output])).toMatchObject({ status: 0 });
  });

  describe('/proc/kcore', () => {
    const built = build(partsOf('ppc64le', { crashKernelAt: 0x2000000n }));
    const kcore = coreFile(fresh('kcore'), built, [{ address: 0n, size: 0x4000000n, offset: 0x10000 }]).path;
    const ownTree = mkdtempSync(join(folder, 'own'));
    const chosen = join(ownTree, 'chosen');
    mkdirSync(chosen);
    const put = (name: string, value: bigint): void => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      writeFileSync(join(chosen, name), bytes);
    };
    put('linux,crashkernel-base', 0x2000000n);
    put('linux,crashkernel-size', 0x1000000n);
    const live = { '/proc/kcore': kcore, '/proc/iomem': iomem };
    const fileSystem = machineWith({ ...live, '/proc/device-tree': ownTree });

    test('is searched where the live device tree says, and that is said', () => {
      const output = fresh('captured.kdump');
      const result = run(['capture', '/proc/kcore', '-o', output], { fileSystem });
      expect(result.status).toBe(0);
      expect(result.stderr).toContain(`crashkernel range 0x2000000-0x2ffffff: ${CHOSEN}, since /proc/iomem has none`);
      expect(existsSync(output)).toBe(true);
      expect(run(['inspect', '/proc/kcore'], { fileSystem })).toMatchObject({ status: 0 });
      const given = run(['capture', '/proc/kcore', '--device-tree', ownTree, '-o', fresh('y')], { fileSystem: machineWith(live) });
      expect(given).toMatchObject({ status: 0, stderr: '' });
    });

    test('no image is loaded where neither has a range', () => {
      const bare = mkdtempSync(join(folder, 'bare'));
      mkdirSync(join(bare, 'chosen'));
      for (const more of [{}, { '/proc/device-tree': bare }]) {
        const result = run(['inspect', '/proc/kcore'], { fileSystem: machineWith({ ...live, ...more }) });
        expect(result.status).toBe(3);
        one(result);
        expect(result.stderr).toMatch(/no kdump image is loaded on this machine: found no "Crash kernel" range in \/proc\/iomem/);
        expect(result.stderr.includes('no linux,crashkernel-base in /chosen')).toBe('/proc/device-tree' in more);
      }
    });

    test('a device tree without /chosen tells nothing', () => {
      const cpus = mkdtempSync(join(folder, 'cpus'));
      mkdirSync(join(cpus, 'cpus'));
      const args = ['capture', '/proc/kcore', '--device-tree', cpus, '-o', fresh('z')];
      const result = run(args, { fileSystem: machineWith(live) });
      expect(result.status).toBe(3);
      one(result);
      expect(result.stderr).toMatch(
        /not known: .*no \/chosen in .*; give --device-tree \/proc\/device-tree, or the range with --crash-kernel/,
      );
    });

    test('the range is not asked for where --crash-kernel names it', () => {
      const nothing = machineWith({ '/proc/kcore': kcore, '/proc/iomem': '/nowhere' });
      expect(run(['inspect', '/proc/kcore', '--crash-kernel', '0x2000000+16M'], { fileSystem: nothing })).toMatchObject({ status: 0 });
    });
  });

  test.each<[string, number[]]>([
    ['a base of 2 bytes', [0, 1]],
    ['no base', []],
  ])('%s in /chosen is none', (_, base) => {
    const odd = mkdtempSync(join(folder, 'odd'));
    mkdirSync(join(odd, 'chosen'));
    writeFileSync(join(odd, 'chosen', 'linux,crashkernel-base'), Buffer.from(base));
    writeFileSync(join(odd, 'chosen', 'linux,crashkernel-size'), Buffer.alloc(8, 1));
    expect(run(['inspect', ram])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['capture', ram, '--device-tree', odd, '-o', fresh('c.kdump')])).toMatchObject({ status: 0, stderr: '' });
  });

  test('a range that passes the address space is refused, with its file', () => {
    const odd = mkdtempSync(join(folder, 'odd'));
    mkdirSync(join(odd, 'chosen'));
    for (const name of ['base', 'size']) writeFileSync(join(odd, 'chosen', `linux,crashkernel-${name}`), Buffer.alloc(8, 0xff));
    const result = run(['check', ram, '--device-tree', odd]);
    expect(result.status).toBe(3);
    one(result);
    expect(result.stderr).toContain(`${odd}: /chosen: range passes the end of the 64-bit address space`);
  });
});

describe('what is found is compared with what was told', () => {
  const iomemAt = (...ranges: string[]): string => {
    const path = fresh('iomem');
    writeFileSync(path, ['00000000-03ffffff : System RAM', ...ranges.map((range) => `  ${range} : Crash kernel`), ''].join('\n'));
    return path;
  };

  test.each(['x86_64', 'ppc64le', 'aarch64'] as const)('%s: an image elsewhere is found all the same, and is of another boot', (name) => {
    const { path, options } = ramFile(fresh('ram'), [build(partsOf(name))]);
    const base = name === 'aarch64' ? 0x40000000 : 0;
    const at = (from: number, to: number): string => `${(base + from).toString(16)}-${(base + to - 1).toString(16)}`;
    const iomem = fresh('iomem');
    writeFileSync(iomem, `${at(0, 0x4000000)} : System RAM\n  ${at(0x1000000, 0x1800000)} : Crash kernel\n`);
    const result = run(['check', path, ...options, '--iomem', iomem]);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /no kdump image at 0x\w+-0x\w+, the "Crash kernel" of the memory map; it was found in a search of all memory/,
    );
    expect(result.stdout).toContain('[crashkernel-differs]');
    const before = readFileSync(path);
    const refused = run(['sync', path, ...options, '--iomem', iomem]);
    expect(refused).toMatchObject({ status: 4, stdout: '' });
    expect(refused.stderr).toContain('the image is of another boot, or another machine');
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(JSON.parse(run(['check', path, ...options, '--iomem', iomem, '--json']).stdout)).toMatchObject({ current: false });
  });

  test('of two images in memory the one counts that lies where the machine says', () => {
    const [old, current] = [0x1800000n, 0x2800000n].map((crashKernelAt) => build(partsOf('x86_64', { crashKernelAt })));
    if (old === undefined || current === undefined) throw new Error('no image');
    const { path } = ramFile(fresh('ram'), [old, current]);
    expect(run(['check', path])).toMatchObject({ status: 3 });
    const result = run(['check', path, '--iomem', iomemAt('02800000-037fffff')]);
    expect(result).toMatchObject({ status: 0, stderr: '' });
  });

  test('a range with nothing in it, and nothing elsewhere', () => {
    const path = fresh('ram');
    writeFileSync(path, Buffer.alloc(0x100000));
    const result = run(['check', path, '--iomem', iomemAt('02800000-037fffff')]);
    expect(result.status).toBe(3);
    one(result);
    expect(result.stderr).toContain('no kdump image found');
  });

  test('a device tree of another boot: no CPU of it gets into the image', () => {
    const image = fresh('image.ram');
    copyFileSync(ramFile(fresh('ram'), [build(partsOf('ppc64le'))]).path, image);
    const tree = mkdtempSync(join(folder, 'tree'));
    mkdirSync(join(tree, 'chosen'));
    const put = (name: string, value: number): void => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(value, 4);
      writeFileSync(join(tree, 'chosen', name), bytes);
    };
    put('linux,crashkernel-base', 0x1000000);
    put('linux,crashkernel-size', 0x800000);
    const result = run(['apply', image, '--add-cpu', '4', '--device-tree', tree]);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toContain('the image is of another boot, or another machine');
  });
});
