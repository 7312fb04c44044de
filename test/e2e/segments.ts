import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { run } from '../helpers/run.js';

/** The header and program headers of the elfcorehdr in an image. Behind them the kernel leaves what was there before. */
export function elfcorehdrOf(image: string): Buffer {
  const bytes = segment(image, 'elfcorehdr', 'elfcorehdr.bin');
  return bytes.subarray(0, 64 + 56 * bytes.readUInt16LE(56));
}

/**
 * Device tree source of the FDT in an image, with nodes and properties sorted. Without `name`, which the kernel makes up.
 */
export function fdtOf(image: string): string {
  const input = segment(image, 'fdt', 'fdt.dtb');
  const { status, stdout } = spawnSync('dtc', ['-f', '-s', '-q', '-I', 'dtb', '-O', 'dts', '-'], { input, encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout
    .split('\n')
    .filter((line) => !/^\s*name = ".*";$/.test(line))
    .join('\n');
}

function segment(image: string, name: string, file: string): Buffer {
  const folder = `${image}.parts`;
  const result = run(['extract', image, name, '-d', folder, '--overwrite']);
  expect(result, result.stderr).toMatchObject({ status: 0 });
  return readFileSync(join(folder, file));
}
