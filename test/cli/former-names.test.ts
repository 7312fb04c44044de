import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, packedFile, partsOf } from '../helpers/build-image.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

const folder = scratchFolder();
const source = packedFile(join(folder, 'source.kdump'), build(partsOf('x86_64'))).path;
const packed = readFileSync(source);

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const NAME = '.kexec.boot-params\0';
const former = Buffer.from(packed);
former.write('.kexec.cmdline'.padEnd(NAME.length, '\0'), former.indexOf(NAME), 'latin1');
const now = written('now.kdump', packed);
const before = written('before.kdump', former);

test('an image of version 0.1, whose boot parameters are a section .kexec.cmdline, is the same image', () => {
  expect(former.equals(packed)).toBe(false);
  const inspected = (path: string): unknown => ({ ...(JSON.parse(runHere(['inspect', path, '--json']).stdout) as object), file: '' });
  expect(inspected(before)).toEqual(inspected(now));
});

test('--format kdump and a segment called cmdline are what they were', () => {
  expect(runHere(['inspect', now, '--format', 'kdump']).stdout).toBe(runHere(['inspect', now, '--format', 'packed']).stdout);
  const result = runHere(['extract', now, 'cmdline', '-d', folder, '--json']);
  expect(result).toMatchObject({ status: 0, stdout: expect.stringContaining('"boot-params"') as string });
  expect(runHere(['extract', now, 'zip', '-d', folder])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('boot-params') as string,
  });
});
