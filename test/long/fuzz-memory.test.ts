import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyOf } from '../helpers/fixtures.js';
import { PROGRAM, scratchFolder } from '../helpers/run.js';

/*
 * Text as large as it may be, or larger, made to take memory.
 */

const folder = scratchFolder();

// Text is split into lines at once, and everything is kept that a line begins.
it.each([
  ['a kexec log of newlines', '--kexec-log', '\n', 4 << 20],
  ['a kexec log larger than it may be', '--kexec-log', '\n', 64 << 20],
  ['a kexec log of loads', '--kexec-log', 'kexec_load: entry = 0 flags = 0\n', 131_072],
  ['an iomem of short lines', '--iomem', '0-0 : \n', 299_000],
  ['a change file of 1,000,000 properties', '--changes', '', 0],
  ['a change file of 350,000 changes', '--changes', '{"memory":{"start":1,"size":1},"action":"add"}\n', 350_000],
])('%s takes at most 256 MiB', (name, option, piece, count) => {
  const properties = (): string => Array.from({ length: 1_000_000 }, (_, index) => `"k${index}":1`).join(',');
  const text = count > 0 ? piece.repeat(count) : `{"action":"add","cpu":{"id":1,"properties":{${properties()}}}}`;
  const path = join(folder, name.replaceAll(/\W+/g, '-'));
  writeFileSync(path, text);
  const image = copyOf('tiny-ppc64', folder);
  const hook = `${path}.cjs`;
  const measured = `${path}.rss`;
  writeFileSync(
    hook,
    `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(measured)}, String(process.resourceUsage().maxRSS)));`,
  );
  const command = { '--iomem': ['check', image], '--changes': ['plan', image] }[option] ?? ['inspect', image, '--format', 'raw'];
  spawnSync(process.execPath, ['--require', hook, PROGRAM, ...command, option, path], { timeout: 60_000 });
  rmSync(path);
  expect(existsSync(measured), 'it ended by itself').toBe(true);
  expect(Number(readFileSync(measured, 'utf8')) / 1024).toBeLessThan(256);
});
