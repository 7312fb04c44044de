import { describe, expect, test } from 'vitest';
import { has } from '../helpers/run.js';
import { crashIntoDump, crashIntoPurgatory, expectComplete, expectWithout } from './crash.js';
import { Guest, type AddedCpu, type Dimm } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { killHalfWay } from './kill.js';
import { PPC64LE } from './machines.js';
import { markMemory } from './marker.js';
import { patchPaused } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(e) ppc64le, Linux 6.1, the program is killed half way';
const { packages } = await settingFor(NAME, PPC64LE);

describe.skipIf(packages === undefined || !has('strace'))(NAME, () => {
  test('control: purgatory does not start an image that is patched half', async () => {
    await timed(`${NAME}, control`, async () => {
      await withHalfPatchedGuest(async (guest) => {
        expect(await crashIntoPurgatory(guest, 0)).toMatch(
          /^I'm in purgatory\nsha256 digests do not match :\(\n\s*digest: [0-9a-f ]+\nsha256_digest: [0-9a-f ]+$/,
        );
      });
    });
  });

  test('rolled back: the dump is as it would have been without the patch', async () => {
    await timed(`${NAME}, rolled back`, async (pauses) => {
      await withHalfPatchedGuest(async (guest, { dimm }) => {
        await patchPaused(guest, pauses, ['recover']);
        await expectWithout(await crashIntoDump(guest, 0), dimm);
      });
    });
  });

  test('finished: a crash on the new CPU makes a dump that has the new memory', async () => {
    await timed(`${NAME}, finished`, async (pauses) => {
      await withHalfPatchedGuest(async (guest, { dimm, cpu }) => {
        const marker = await markMemory(guest, dimm);
        await patchPaused(guest, pauses, ['recover', '--roll-forward']);
        await expectComplete(await crashIntoDump(guest, cpu.linuxNumber), dimm, marker);
      });
    });
  });
});

interface Changed {
  readonly dimm: Dimm;
  readonly cpu: AddedCpu;
}

/** A guest that got memory and a CPU after its capture kernel was loaded, and half of the patch. */
async function withHalfPatchedGuest(work: (guest: Guest, changed: Changed) => Promise<void>): Promise<void> {
  if (packages === undefined) throw new Error('no packages');
  await Guest.with(PPC64LE, packages, async (guest) => {
    const log = await loadCaptureKernel(guest, ['-c']);
    const dimm = await guest.addMemory(256 * 2 ** 20);
    const cpu = await guest.addCpu();
    const changes = ['--add-memory', `${dimm.start}+${dimm.size}`, '--add-cpu', String(cpu.id)];
    await guest.paused(() => {
      killHalfWay(guest, ['apply', '--kexec-log', log, ...changes]);
    });
    await work(guest, { dimm, cpu });
  });
}
