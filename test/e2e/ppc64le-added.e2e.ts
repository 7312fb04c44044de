import { describe, expect, test } from 'vitest';
import { crashIntoDump, crashIntoPurgatory, expectComplete, expectReadable } from './crash.js';
import { Guest, type AddedCpu, type Dimm } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { PPC64LE } from './machines.js';
import { markMemory } from './marker.js';
import { patchByMonitor } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(a) ppc64le, Linux 6.1, memory and a CPU added';
const { packages } = await settingFor(NAME, PPC64LE);

describe.skipIf(packages === undefined)(NAME, () => {
  test('control: a crash on the new CPU is not heard of again after purgatory', async () => {
    await timed(`${NAME}, control`, async () => {
      await withChangedGuest(async (guest, { cpu }) => {
        expect(await crashIntoPurgatory(guest, cpu.linuxNumber)).toBe("I'm in purgatory");
      });
    });
  });

  test('patched: a crash on the new CPU makes a dump that has the new memory', async () => {
    await timed(`${NAME}, patched`, async (pauses) => {
      await withChangedGuest(async (guest, { dimm, cpu }) => {
        const marker = await markMemory(guest, dimm);
        const changes = ['--add-memory', `${dimm.start}+${dimm.size}`, '--add-cpu', String(cpu.id)];
        await patchByMonitor(guest, pauses, ['apply', ...changes]);
        const vmcore = await crashIntoDump(guest, cpu.linuxNumber);
        await expectComplete(vmcore, dimm, marker);
        await expectReadable(vmcore, guest, marker);
      });
    });
  });
});

interface Changed {
  readonly dimm: Dimm;
  readonly cpu: AddedCpu;
}

/** A guest that got memory and a CPU after its capture kernel was loaded. */
async function withChangedGuest(work: (guest: Guest, changed: Changed) => Promise<void>): Promise<void> {
  if (packages === undefined) throw new Error('no packages');
  await Guest.with(PPC64LE, packages, async (guest) => {
    await loadCaptureKernel(guest, ['-c']);
    const dimm = await guest.addMemory(256 * 2 ** 20);
    const cpu = await guest.addCpu();
    await work(guest, { dimm, cpu });
  });
}
