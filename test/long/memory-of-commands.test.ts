import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeElfcorehdr } from '../../src/elf/elfcorehdr.js';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { encodeJournal } from '../../src/journal/journal.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { copyOf, FIXTURES } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { memoryFile } from '../patch/kill-scenarios.js';
import { measured } from './peak-memory.js';

// At most 128 MiB for every command, however large the image is. `node -e 0` alone takes more than 40 of them.

const LIMIT = 128;
const GIB = 2 ** 30;
const folder = scratchFolder();
const rows: string[] = [];
afterAll(() => {
  console.info(rows.join('\n'));
});

const at = (name: string): string => join(folder, name);

function expectSmall(what: string, args: readonly string[], expected = 0): void {
  const { status, stderr, peak, seconds } = measured(args, folder);
  rows.push(`${what}: ${peak.toFixed(0)} MiB, ${seconds.toFixed(1)} s`);
  expect(status, stderr).toBe(expected);
  expect(peak).toBeLessThanOrEqual(LIMIT);
}

function sparse(name: string, size: number): string {
  const descriptor = openSync(at(name), 'w');
  ftruncateSync(descriptor, size);
  closeSync(descriptor);
  return at(name);
}

/** A manifest of an image of x86_64 whose initrd has 1 GiB, which its digest covers. */
function bigManifest(): string {
  const headers = [note(0xf000n), load(0n, 0x40000000n), load(0xa0000000n, 0x100000000n)];
  writeFileSync(at('elfcorehdr.bin'), encodeElfcorehdr(elfcorehdr(headers, 'lsb', 62)));
  sparse('initrd.bin', GIB);
  const segments = [
    { name: 'kernel', address: '0x40000000', memsz: '64K', fill: '0x60', size: '4K' },
    { name: 'elfcorehdr', address: '0x40010000', memsz: '64K', file: 'elfcorehdr.bin' },
    { name: 'initrd', address: '0x50000000', memsz: '1G', file: 'initrd.bin' },
    {
      name: 'purgatory',
      address: '0x90000000',
      memsz: '16K',
      fill: 0,
      size: '16K',
      digest: { tableOffset: '0x40', digestOffset: '0x400', covers: ['kernel', 'elfcorehdr', 'initrd'] },
    },
  ];
  writeFileSync(at('big.json'), JSON.stringify({ architecture: 'x86_64', entry: '0x40000000', segments }));
  return at('big.json');
}

describe('an image whose segments have 1 GiB', () => {
  const image = at('big.kdump');
  const change = ['--add-memory', '0x200000000+256M'];
  const iomem = '00000000-ffffffff : System RAM\n  40000000-9fffffff : Crash kernel\n';
  writeFileSync(at('iomem'), iomem);
  writeFileSync(at('iomem-more'), `${iomem}400000000-40fffffff : System RAM\n`);

  test.each<[string, readonly string[]]>([
    ['pack', ['pack', '--manifest', bigManifest(), '-o', image]],
    ['inspect', ['inspect', image]],
    ['inspect --verify', ['inspect', image, '--verify']],
    ['check', ['check', image, '--iomem', at('iomem')]],
    ['plan', ['plan', image, ...change]],
    ['apply', ['apply', image, ...change, '--save-undo', at('big.undo')]],
    ['apply -o', ['apply', image, '--add-memory', '0x300000000+256M', '-o', at('big.copy')]],
    ['diff', ['diff', image, at('big.copy')]],
    ['undo', ['undo', image, at('big.undo')]],
    ['sync', ['sync', image, '--iomem', at('iomem-more')]],
    ['recover', ['recover', image]],
    ['capture', ['capture', image, '-o', at('big.capture')]],
    ['extract', ['extract', image, '-d', at('big.parts'), '--manifest']],
  ])('%s', (name, args) => {
    expectSmall(`1 GiB of segments, ${name}`, args, name === 'diff' ? 1 : 0);
  });
});

describe('the memory of a guest of 64 GiB', () => {
  const image = at('guest.ram');
  const capture = join(FIXTURES, 'captures', 'ppc64le-6.12-64k');
  const log = ['--kexec-log', join(capture, 'kexec-debug.log')];
  const range = ['--crash-kernel', '0x20000000+512M'];
  const change = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
  memoryFile(image, 'ppc64le-64k', 0, new Uint8Array());
  truncateSync(image, 64 * GIB);

  test.each<[string, readonly string[]]>([
    ['inspect without a hint', ['inspect', image]],
    ['inspect --crash-kernel', ['inspect', image, ...range]],
    ['inspect --kexec-log', ['inspect', image, ...log]],
    ['inspect --verify', ['inspect', image, ...log, '--verify']],
    ['inspect --fdt', ['inspect', image, ...range, '--fdt']],
    ['check', ['check', image, ...log, '--iomem', join(capture, '00-loaded', 'iomem.txt')]],
    ['plan', ['plan', image, ...log, ...change]],
    ['apply', ['apply', image, ...log, ...change, '--save-undo', at('guest.undo')]],
    ['diff', ['diff', image, image, ...log]],
    ['undo', ['undo', image, at('guest.undo')]],
    ['sync', ['sync', image, ...log, '--iomem', join(capture, '02-mem-add-256M', 'iomem.txt')]],
    ['recover', ['recover', image]],
    ['capture', ['capture', image, ...log, '-o', at('guest.capture')]],
    ['extract', ['extract', image, ...log, '-d', at('guest.parts'), '--manifest']],
    ['pack', ['pack', '--manifest', at('guest.parts/manifest.json'), '-o', at('guest.packed')]],
  ])('%s', (name, args) => {
    expectSmall(`64 GiB of memory, ${name}`, args);
  });
});

describe('a change file of 100 MB', () => {
  test.each(['plan', 'apply'])('%s refuses it before it is read as a whole', (command) => {
    const changes = at('changes.json');
    writeFileSync(changes, '{"action":"add","memory":{"start":4294967296,"size":4096}}\n'.repeat(1_700_000));
    expectSmall(`100 MB of changes, ${command}`, [command, copyOf('tiny-ppc64', folder), '--changes', changes], 2);
  });
});

describe('100,000 changes', () => {
  const list = (what: (index: number) => object): string =>
    Array.from({ length: 100_000 }, (_, index) => JSON.stringify({ action: index % 2 === 0 ? 'add' : 'remove', ...what(index) })).join(
      '\n',
    );

  test.each<[string, (index: number) => object]>([
    ['of memory', (index) => ({ memory: { start: `0x${(0x100000000000 + (index >> 1) * 0x10000000).toString(16)}`, size: '256M' } })],
    ['of CPUs', (index) => ({ cpu: { id: 2 + ((index >> 1) % 6) } })],
  ])('%s', (name, what) => {
    writeFileSync(at('many.json'), list(what));
    const image = copyOf('ppc64le-64k', folder);
    expectSmall(`100,000 changes ${name}, apply`, ['apply', image, '--quiet', '--prune-cpus', '--changes', at('many.json')]);
  });
});

describe('a journal almost as large as it may be', () => {
  /** Of an image that holds what the patch wrote, as an undo file or a journal beside it. */
  function withJournal(kind: 'journal' | 'undo'): { image: string; path: string } {
    const image = copyOf('ppc64le-64k', folder);
    truncateSync(image, 64 << 20);
    const { dev, ino, size, birthtimeNs } = statSync(image, { bigint: true });
    const zeros = new Uint8Array(11 << 20);
    const bytes = encodeJournal({
      kind,
      live: false,
      transaction: new Uint8Array(16),
      image: { device: dev, inode: ino, size, birthTime: birthtimeNs },
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
      records: [{ position: 1 << 20, before: zeros, after: zeros }],
      markers: [],
    });
    const path = kind === 'undo' ? at('large.undo') : join(folder, journalNameOf(basename(image)));
    writeFileSync(path, bytes, { mode: 0o600 });
    return { image, path };
  }

  test.each(['inspect', 'recover'])('%s', (command) => {
    expectSmall(`a journal of 22 MiB, ${command}`, [command, withJournal('journal').image]);
  });

  test('undo', () => {
    const { image, path } = withJournal('undo');
    expectSmall('an undo file of 22 MiB, undo', ['undo', image, path]);
  });
});
