import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Capture } from '../helpers/capture-image.js';
import { FIXTURES, fixtureImage, section } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { has, scratchFolder } from '../helpers/run.js';

const folder = scratchFolder();
const IMAGES = ['ppc64le-64k', 'ppc64le-64k-no-hotplug', 'ppc64le-4k', 'tiny-ppc64'] as const;
const [hasReadelf, hasObjcopy] = [has('readelf'), has('objcopy')];

interface Manifest {
  segments: { name: string; address: string; memsz: string }[];
}

const manifestOf = (name: string): Manifest => JSON.parse(readFileSync(join(FIXTURES, 'manifests', `${name}.json`), 'utf8')) as Manifest;

describe.each(IMAGES)('%s', (name) => {
  test.skipIf(!hasReadelf)('readelf reads it without a warning, and shows each segment', () => {
    const result = spawnSync('readelf', ['-lSW', fixtureImage(name)], { encoding: 'utf8' });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const loads = result.stdout.split('\n').filter((line) => /^\s+LOAD /.test(line));
    const { segments } = manifestOf(name);
    expect(loads.map((line) => BigInt(line.trim().split(/\s+/)[3] ?? '').toString(16))).toEqual(
      segments.map(({ address }) => BigInt(address).toString(16)),
    );
    for (const segment of segments) expect(result.stdout).toContain(` .kexec.${segment.name} `);
    expect(result.stdout).toMatch(/\.kexec\.backup +NOBITS/);
  });

  test.skipIf(!hasObjcopy).each([
    ['fdt', 'fdt.dtb'],
    ['elfcorehdr', 'elfcorehdr.bin'],
  ])('objcopy takes out the %s as extract does', (segment, file) => {
    // A binutils built for one architecture reads the files of others when it is told which ELF they are.
    const inputFormat = name === 'tiny-ppc64' ? 'elf64-big' : 'elf64-little';
    const [copied, extracted] = [join(folder, `${name}-${segment}`), join(folder, `${name}-${segment}.d`)];
    const result = spawnSync(
      'objcopy',
      ['-I', inputFormat, '-O', 'binary', `--only-section=.kexec.${segment}`, fixtureImage(name), copied],
      {
        encoding: 'utf8',
      },
    );
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(run(['extract', fixtureImage(name), segment, '-d', extracted]).status).toBe(0);
    const bytes = readFileSync(copied);
    expect(bytes.equals(readFileSync(join(extracted, file)))).toBe(true);
    expect(bytes.equals(section(fixtureImage(name), `.kexec.${segment}`).bytes)).toBe(true);
  });

  test('packing twice gives the same bytes', () => {
    const again = join(folder, `${name}-again.kdump`);
    expect(run(['pack', '--allow-outside', '--manifest', join(FIXTURES, 'manifests', `${name}.json`), '-o', again])).toMatchObject({
      status: 0,
    });
    expect(readFileSync(again).equals(readFileSync(fixtureImage(name)))).toBe(true);
  });

  test('pack(extract(x)) = x', () => {
    const [directory, again] = [join(folder, `${name}.extracted`), join(folder, `${name}-repacked.kdump`)];
    expect(run(['extract', fixtureImage(name), '--manifest', '-d', directory])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['pack', '--manifest', join(directory, 'manifest.json'), '-o', again])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(again).equals(readFileSync(fixtureImage(name)))).toBe(true);
  });

  test('capture(x) = x', () => {
    const again = join(folder, `${name}-captured.kdump`);
    expect(run(['capture', fixtureImage(name), '-o', again])).toMatchObject({ status: 0 });
    expect(readFileSync(again).equals(readFileSync(fixtureImage(name)))).toBe(true);
  });
});

describe('a manifest chooses no file outside its folder', () => {
  const image = (file: string): string =>
    JSON.stringify({ architecture: 'ppc64le', segments: [{ name: 'initrd', address: '0x10000000', memsz: '0x1000', file }] });
  const place = join(folder, 'received');
  mkdirSync(join(place, 'below'), { recursive: true });
  writeFileSync(join(folder, 'secret'), 'nobody is to have this');
  symlinkSync('../secret', join(place, 'link'));
  symlinkSync('..', join(place, 'up'));
  // Its name begins as the folder's does.
  mkdirSync(`${place}-too`);
  writeFileSync(join(`${place}-too`, 'file'), 'nor this');

  test.each(['../secret', 'below/../../secret', join(folder, 'secret'), 'link', 'up/secret', '../received-too/file'])('%s', (file) => {
    writeFileSync(join(place, 'manifest.json'), image(file));
    const made = join(folder, 'stolen.kdump');
    const { status, stdout, stderr } = run(['pack', '--manifest', join(place, 'manifest.json'), '-o', made]);
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
    expect(stderr).toMatch(/^kdump-hotplug: [^\n]*a file outside the manifest's folder: found [^\n]*--allow-outside[^\n]*\n$/);
    expect(existsSync(made)).toBe(false);
    // What is read with the option is no image, which is found out later.
    expect(run(['pack', '--allow-outside', '--manifest', join(place, 'manifest.json'), '-o', made]).stderr).not.toContain('outside');
  });

  test('a manifest that is reached through a link takes the files beside it', () => {
    const parts = join(folder, 'parts-beside');
    expect(run(['extract', fixtureImage('tiny-ppc64'), '--manifest', '-d', parts])).toMatchObject({ status: 0 });
    symlinkSync(parts, join(folder, 'parts-link'));
    const made = join(folder, 'beside.kdump');
    expect(run(['pack', '--manifest', join(folder, 'parts-link/manifest.json'), '-o', made])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(made).equals(readFileSync(fixtureImage('tiny-ppc64')))).toBe(true);
  });
});

test('pack --segment gives what the same manifest gives', () => {
  const capture = new Capture('ppc64le-6.12-64k');
  const at = (file: string): string => join(folder, file);
  writeFileSync(at('e@l+f'), capture.captured('elfcorehdr', '00-loaded'));
  writeFileSync(at('fdt'), capture.captured('fdt', '00-loaded'));
  writeFileSync(at('kernel'), 'not much of a kernel');
  const segments = [
    { name: 'kernel', address: '0x20000000', memsz: '0x10000', file: 'kernel' },
    { name: 'elfcorehdr', address: '0x229a0000', memsz: '0x80000', file: 'e@l+f' },
    { name: 'fdt', address: '0x3fff0000', memsz: '0x10000', file: 'fdt' },
  ];
  writeFileSync(at('by-manifest.json'), JSON.stringify({ architecture: 'ppc64le', entry: '0x22a20600', segments }));
  const options = segments.flatMap(({ name, file, address, memsz }) => ['--segment', `${name}=${at(file)}@${address}+${memsz}`]);
  expect(run(['pack', '--manifest', at('by-manifest.json'), '-o', at('by-manifest.kdump')])).toMatchObject({ status: 0, stderr: '' });
  expect(run(['pack', '--architecture', 'ppc64le', '--entry', '0x22a20600', ...options, '-o', at('by-options.kdump')])).toMatchObject({
    status: 0,
    stderr: '',
  });
  expect(readFileSync(at('by-options.kdump')).equals(readFileSync(at('by-manifest.kdump')))).toBe(true);
});

describe('an image captured out of a RAM file', () => {
  const guest = 'ppc64le-6.12-64k';
  const capture = new Capture(guest);

  test.each([
    ['with no hint', []],
    ['with the kexec log', ['--kexec-log', capture.kexecLog]],
  ])('%s: no difference', (name, more) => {
    const own = join(folder, `${guest} ${name}`);
    mkdirSync(own);
    const ram = capture.ramFile(own);
    const baseline = ram.fingerprint();
    const packed = join(own, 'captured.kdump');
    expect(run(['capture', ram.path, ...more, '-o', packed])).toMatchObject({ status: 0, stderr: '' });
    // The log knows the purgatory's zeros to be a part of it, the finder does not.
    if (more.length === 0) expect(run(['diff', ram.path, packed])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['inspect', packed, '--verify']).stdout).toContain('digest of kernel, backup, initrd: match');
    for (const { role } of capture.segments.filter((segment) => segment.role !== 'purgatory' && segment.role !== 'backup')) {
      const stored = section(packed, `.kexec.${role}`).bytes;
      expect(Buffer.compare(stored.subarray(0, capture.contents(role).length), capture.contents(role)), role).toBe(0);
    }
    expect(ram.fingerprint()).toEqual(baseline);
    rmSync(own, { recursive: true });
  });
});

describe('a second device tree in the crashkernel range', () => {
  test('two images are not guessed between: exit code 3, both named', () => {
    const capture = new Capture('ppc64le-6.12-64k');
    const own = join(folder, 'two');
    mkdirSync(own);
    const ram = capture.ramFile(own);
    const stale = Buffer.from(capture.contents('fdt'));
    // Behind the kernel, in the same crashkernel range, naming the same elfcorehdr: a copy of an earlier load.
    ram.write('initrd', stale, 0x200000);
    const result = run(['inspect', ram.path]);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*2 kdump images[^\n]*0x22c30000[^\n]*0x3fff0000[^\n]*\n$/);
    expect(run(['inspect', ram.path, '--kexec-log', capture.kexecLog]).status).toBe(0);
    rmSync(own, { recursive: true });
  });
});

describe('fixtures/generate.mjs', () => {
  const GENERATE = join(FIXTURES, 'generate.mjs');
  const generate = (root: string, ...args: string[]): { status: number | null; stdout: string } =>
    spawnSync(process.execPath, [GENERATE, ...args], { encoding: 'utf8', env: { ...process.env, FIXTURES_FOLDER: root } });

  test('every image in the repository is what its manifest gives', () => {
    const result = generate(FIXTURES, '--verify');
    expect(result.stdout).toBe(
      [...IMAGES]
        .sort()
        .map((name) => `ok         images/${name}.kdump\n`)
        .join(''),
    );
    expect(result.status).toBe(0);
  });

  test('--verify tells ok, outdated, missing and unexpected apart, and fails', () => {
    const root = join(folder, 'fixtures');
    for (const part of ['manifests', 'images']) mkdirSync(join(root, part), { recursive: true });
    const tiny = readFileSync(join(FIXTURES, 'manifests/tiny-ppc64.json'), 'utf8');
    for (const name of ['a', 'b', 'c']) writeFileSync(join(root, 'manifests', `${name}.json`), tiny);
    expect(generate(root).status).toBe(0);
    expect(generate(root, '--verify')).toMatchObject({
      status: 0,
      stdout: ['a', 'b', 'c'].map((name) => `ok         images/${name}.kdump\n`).join(''),
    });

    writeFileSync(join(root, 'manifests/b.json'), tiny.replace('0x60', '0x61'));
    rmSync(join(root, 'images/c.kdump'));
    copyFileSync(join(root, 'images/a.kdump'), join(root, 'images/d.kdump'));
    expect(generate(root, '--verify')).toMatchObject({
      status: 1,
      stdout: 'ok         images/a.kdump\noutdated   images/b.kdump\nmissing    images/c.kdump\nunexpected images/d.kdump\n',
    });
    rmSync(join(root, 'images/d.kdump'));
    expect(generate(root).status).toBe(0);
    expect(generate(root, '--verify').status).toBe(0);
    expect(generate(root, '--frob').status).toBe(2);
  });

  test('git keeps the fixtures as they are', () => {
    // Line-ending conversion would break images and captures in silence.
    const attributes = execFileSync('git', ['check-attr', 'binary', relative(dirname(FIXTURES), fixtureImage('tiny-ppc64'))], {
      cwd: dirname(FIXTURES),
      encoding: 'utf8',
    });
    expect(attributes).toMatch(/binary: set/);
  });
});
