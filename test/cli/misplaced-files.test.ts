import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixtureImage } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// A file that is given in the place of another is named, with the option it belongs to.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');

function fileOf(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

const iomem = fileOf('iomem', '00000000-7fffffff : System RAM\n');
const log = fileOf('log', 'nr_segments = 1\nsegment[0].buf   = 0x1\nsegment[0].bufsz = 0x1\n');
const changes = fileOf('changes.json', '[{ "action": "remove" }]\n');
const tar = fileOf('tree.tar', Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\0'), Buffer.alloc(249)]));
const gzip = fileOf('tree.tar.gz', Uint8Array.of(0x1f, 0x8b, 8, 0));
const dtb = fileOf('tree.dtb', Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed, 0, 0, 1, 0));

test.each([
  [['inspect', iomem], /not a kdump image: found a memory map.*--iomem/],
  [['inspect', log], /not a kdump image: found a log of kexec.*--kexec-log/],
  [['inspect', changes], /not a kdump image: found JSON.*--changes/],
  [['inspect', tar], /not a kdump image: found a tar archive.*unpack/],
  [['check', IMAGE, '--iomem', IMAGE], /not a memory map: found an ELF image or memory dump/],
  [['check', IMAGE, '--iomem', log], /not a memory map: found a log of kexec/],
  [['check', IMAGE, '--iomem', dtb], /not a memory map: found a device tree.*--device-tree/],
  [['check', IMAGE, '--iomem', gzip], /not a memory map: found a gzip file.*unpack/],
  [['check', IMAGE, '--device-tree', tar], /not a device tree: found a tar archive.*unpack/],
  [['check', IMAGE, '--device-tree', gzip], /not a device tree: found a gzip file/],
  [['check', IMAGE, '--device-tree', iomem], /not a device tree: found a memory map.*--iomem/],
  [['inspect', IMAGE, '--kexec-log', iomem], /not a log of kexec: found a memory map/],
  [['pack', '--manifest', IMAGE, '-o', join(folder, 'x')], /not a manifest: found an ELF image/],
])('%j', (args, words) => {
  const result = run(args);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
  expect(result.stderr).toMatch(words);
});

test('a change file that is none is a mistake of the command line', () => {
  const result = run(['plan', IMAGE, '--changes', iomem]);
  expect(result).toMatchObject({ status: 2, stdout: '' });
  expect(result.stderr).toMatch(/not a change file: found a memory map/);
});

test('what is wrong in a text that may be the right one is said by its line', () => {
  expect(run(['check', IMAGE, '--iomem', fileOf('odd', 'no memory map\n')]).stderr).toMatch(/line 1: not a line of \/proc\/iomem/);
  expect(run(['plan', IMAGE, '--changes', fileOf('odd.json', 'action: add\n')]).stderr).toMatch(/line 1, column 1: not JSON/);
});
