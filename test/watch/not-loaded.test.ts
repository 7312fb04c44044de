import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { recordedMemory, recordedStates, writeDump } from '../helpers/kernel-fixture.js';
import { scratchFolder } from '../helpers/run.js';
import { start } from '../helpers/start.js';

const KERNEL = 'ppc64le-6.12-64k';
const folder = scratchFolder();

function dumpOf(state: string): string {
  const said = recordedStates(KERNEL)[state];
  if (said === undefined) throw new Error(`not recorded: ${state}`);
  return writeDump(join(folder, `${state}.elf`), recordedMemory(KERNEL, said));
}

function online(block: number): string {
  return `ACTION=online\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/memory${block}\n\n`;
}

it('watch goes on over a restart: nothing is written while no image is loaded, and what is loaded then is patched', async () => {
  const image = join(folder, 'guest.elf');
  copyFileSync(dumpOf('restarted'), image);
  const before = readFileSync(image);
  const watcher = start(['watch', image, '--json', '--memory-block-size', '256M', '--settle', '0']);
  await watcher.says('no kdump image is loaded: nothing is patched until one is');
  await watcher.says('watching');
  watcher.process.stdin.write(online(8));
  await watcher.says('"outcome":"nothing to do"');
  expect(readFileSync(image).equals(before)).toBe(true);
  copyFileSync(dumpOf('loaded-for-hotplug'), image);
  watcher.process.stdin.end(online(9));
  const { status, stdout } = await watcher.ended;
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { outcome: string; reason: string }).outcome),
  ).toEqual(['nothing to do', 'applied']);
  expect(status).toBe(0);
});
