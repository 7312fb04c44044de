import { spawnSync } from 'node:child_process';
import type { Machine } from './machines.js';
import { packagesOf, type Packages } from './packages.js';

/** What a scenario needs, or why it cannot run here. */
export type Setting = { readonly packages: Packages; readonly missing?: never } | { readonly packages?: never; readonly missing: string };

/** Gets what a scenario needs; says in one line what is missing, since the scenario is skipped then. */
export async function settingFor(scenario: string, machine: Machine): Promise<Setting> {
  const setting = await find(machine);
  if (setting.missing !== undefined) console.warn(`${scenario} is skipped: ${setting.missing}`);
  else console.info(`${scenario}: ${setting.packages.names.filter((name) => name.startsWith('linux-image')).join()}`);
  return setting;
}

async function find({ qemu, qemuPackage, packages }: Machine): Promise<Setting> {
  if (spawnSync(qemu, ['--version'], { stdio: 'ignore' }).error !== undefined) {
    return { missing: `${qemu} is not installed (Debian's package is ${qemuPackage})` };
  }
  try {
    return { packages: await packagesOf(packages) };
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}

/** Runs one guest of a scenario, and prints how long that took and how long the guest stood still. */
export async function timed(name: string, work: (pauses: number[]) => Promise<void>): Promise<void> {
  const pauses: number[] = [];
  const start = Date.now();
  await work(pauses);
  const paused = pauses.map((milliseconds) => `${Math.round(milliseconds)} ms`).join(', ');
  console.info(`${name}: ${Math.round((Date.now() - start) / 1000)} s${paused === '' ? '' : `, guest paused ${paused}`}`);
}
