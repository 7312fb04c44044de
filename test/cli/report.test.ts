import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { CAPTURES } from '../helpers/capture-image.js';
import { run, scratchFolder } from '../helpers/run.js';
import { reportOn } from '../report/samples.js';

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
let pages = 0;

function fresh(): string {
  pages += 1;
  return join(folder, `report-${pages}.html`);
}

test('writes the page and says so', () => {
  const output = fresh();
  expect(run(['report', IMAGE, '-o', output])).toEqual({ status: 0, stdout: `${output}: report on ${IMAGE}\n`, stderr: '' });
  expect(readFileSync(output, 'utf8')).toMatch(/^<!DOCTYPE html>\n<html lang="en">[^]*<\/html>\s*$/);
});

test('the page of the bundled program is that of the source, but for the version', () => {
  const output = fresh();
  expect(run(['report', IMAGE, '-o', output])).toMatchObject({ status: 0 });
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(readFileSync(output, 'utf8')).toBe(reportOn(IMAGE).replaceAll('1.2.3', version));
});

test('the same twice gives the same bytes', () => {
  const [one, other] = [fresh(), fresh()];
  for (const output of [one, other]) expect(run(['report', IMAGE, '-o', output, '--before', fixtureImage('ppc64le-64k')]).status).toBe(0);
  expect(readFileSync(one).equals(readFileSync(other))).toBe(true);
});

test('--json is one small document, as its schema has it', () => {
  const output = fresh();
  const { status, stdout, stderr } = run(['report', IMAGE, '-o', output, '--json']);
  const document: unknown = JSON.parse(stdout);
  expect({ status, stderr, document }).toEqual({ status: 0, stderr: '', document: { file: IMAGE, report: output, interrupted: false } });
  const schema = JSON.parse(readFileSync(new URL('../../docs/schema/report.schema.json', import.meta.url), 'utf8')) as object;
  expect(new Ajv2020({ strict: true }).validate(schema, document)).toBe(true);
});

test('an image against its machine, and after it was brought up to date', () => {
  const step = join(CAPTURES, 'ppc64le-6.12-64k/02-mem-add-256M');
  const deviceTree = join(folder, 'device-tree');
  mkdirSync(deviceTree);
  execFileSync('tar', ['xf', join(step, 'device-tree.tar.gz'), '-C', deviceTree]);
  const state = ['--iomem', join(step, 'iomem.txt'), '--device-tree', deviceTree];
  const [image, synced] = [copyOf('ppc64le-64k', folder), join(folder, 'synced.kdump')];
  const [stale, current] = [fresh(), fresh()];
  expect(run(['report', image, '-o', stale, ...state])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(stale, 'utf8')).toContain('A dump would miss 256 MiB of memory. A crash on CPU 2 would give no dump.');
  expect(run(['sync', image, '-o', synced, ...state])).toMatchObject({ status: 0 });
  expect(run(['report', synced, '--before', image, '-o', current, ...state])).toMatchObject({ status: 0, stderr: '' });
  const page = readFileSync(current, 'utf8');
  expect(page).toContain('Sound and current: a dump would have all memory and all CPUs of the machine.');
  expect(page).toMatch(/<li class="added" +id="added-0">/);
});

test('a file that exists is not replaced without --overwrite', () => {
  const output = fresh();
  writeFileSync(output, 'keep');
  expect(run(['report', IMAGE, '-o', output])).toMatchObject({ status: 5, stdout: '' });
  expect(readFileSync(output, 'utf8')).toBe('keep');
  expect(run(['report', IMAGE, '-o', output, '--overwrite'])).toMatchObject({ status: 0 });
  expect(readFileSync(output, 'utf8')).toContain('<!DOCTYPE html>');
});

test.each(['the image', 'the earlier image', 'a link to the image'])('%s is not replaced even with it', (which) => {
  const [image, before] = [copyOf('ppc64le-64k', folder), copyOf('ppc64le-64k', folder)];
  const link = fresh();
  symlinkSync(image, link);
  const output = { 'the image': image, 'the earlier image': before }[which] ?? link;
  expect(run(['report', image, '--before', before, '-o', output, '--overwrite'])).toMatchObject({ status: 2, stdout: '' });
  expect(readFileSync(image).equals(readFileSync(IMAGE))).toBe(true);
  expect(readFileSync(before).equals(readFileSync(IMAGE))).toBe(true);
});

test.each([
  ['no output', [IMAGE], 2],
  ['no image', ['-o', 'x.html'], 2],
  ['--memory-blocks without --iomem', [IMAGE, '-o', 'x.html', '--memory-blocks', 'blocks'], 2],
  ['no such image', [join(folder, 'none.kdump'), '-o', 'x.html'], 5],
  ['no image at all', [join(folder, 'text'), '-o', 'x.html'], 3],
  ['no such earlier image', [IMAGE, '-o', 'x.html', '--before', join(folder, 'none.kdump')], 5],
] as const)('%s: one line and exit code', (_, args, status) => {
  writeFileSync(join(folder, 'text'), 'not an image\n');
  const result = run(['report', ...args], { cwd: folder });
  expect(result).toMatchObject({ status, stdout: '' });
  expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*\n$/);
  expect(existsSync(join(folder, 'x.html'))).toBe(false);
  expect(existsSync(join(folder, 'x.html.partial'))).toBe(false);
});
