import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Guest } from './guest.js';

/** What a guest's kernel says of its machine, as options of the program. */
export interface MachineState {
  readonly iomem: readonly string[];
  readonly deviceTree: readonly string[];
}

/** Saves it in files of this machine, in place of what was saved before. */
export async function saveMachineState(guest: Guest): Promise<MachineState> {
  const iomem = join(guest.folder, 'iomem.txt');
  writeFileSync(iomem, await guest.console.read('cat /proc/iomem'));
  const deviceTree = join(guest.folder, 'device-tree');
  rmSync(deviceTree, { recursive: true, force: true });
  mkdirSync(deviceTree);
  const archive = await guest.console.read('tar -C /sys/firmware/devicetree/base -cf - .');
  expect(spawnSync('tar', ['-xf', '-', '-C', deviceTree], { input: archive }).status).toBe(0);
  return { iomem: ['--iomem', iomem], deviceTree: ['--device-tree', deviceTree] };
}
