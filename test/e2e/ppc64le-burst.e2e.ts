import { describe, expect, test } from 'vitest';
import { crashIntoDump, crashIntoPurgatory, expectComplete } from './crash.js';
import { Guest, type AddedCpu, type Dimm } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { PPC64LE } from './machines.js';
import { markMemory } from './marker.js';
import { Watcher } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(c) ppc64le, Linux 6.1, a burst of memory and CPUs';
const { packages } = await settingFor(NAME, PPC64LE);
const MIB = 2 ** 20;

describe.skipIf(packages === undefined)(NAME, () => {
  test('control: a crash on the last new CPU is not heard of again after purgatory', async () => {
    await timed(`${NAME}, control`, async () => {
      await withChangedGuest(false, async (guest, { cpu }) => {
        expect(await crashIntoPurgatory(guest, cpu.linuxNumber)).toBe("I'm in purgatory");
      });
    });
  });

  test('patched: a crash on the last new CPU makes a dump that has all new memory', async () => {
    await timed(`${NAME}, patched`, async (pauses) => {
      await withChangedGuest(true, async (guest, { dimms, cpu }, watcher) => {
        for (const { id } of dimms) await watcher?.says(`DIMM ${id}`);
        await watcher?.says(`core ${cpu.id}`);
        await watcher?.end(pauses);
        const marked = [];
        for (const dimm of dimms) marked.push({ dimm, marker: await markMemory(guest, dimm) });
        const vmcore = await crashIntoDump(guest, cpu.linuxNumber);
        for (const { dimm, marker } of marked) await expectComplete(vmcore, dimm, marker);
      });
    });
  });
});

interface Changed {
  readonly dimms: readonly Dimm[];
  /** The last of those that were added. */
  readonly cpu: AddedCpu;
}

/** A guest that got memory and CPUs at once after its capture kernel was loaded. */
async function withChangedGuest(
  isWatched: boolean,
  work: (guest: Guest, changed: Changed, watcher: Watcher | undefined) => Promise<void>,
): Promise<void> {
  if (packages === undefined) throw new Error('no packages');
  await Guest.with(PPC64LE, packages, async (guest) => {
    await loadCaptureKernel(guest, ['-c']);
    const watcher = isWatched ? new Watcher(guest) : undefined;
    await watcher?.says('watching');
    const dimms = [await guest.plugMemory(256 * MIB), await guest.plugMemory(512 * MIB), await guest.plugMemory(256 * MIB)];
    const cpus = [await guest.plugCpu(), await guest.plugCpu()] as const;
    for (const dimm of dimms) await guest.waitForMemory(dimm, true);
    await guest.waitForCpu(cpus[0]);
    await work(guest, { dimms, cpu: await guest.waitForCpu(cpus[1]) }, watcher);
  });
}
