import { describe, test } from 'vitest';
import { crashIntoDump, expectComplete, expectReadable, expectWithout } from './crash.js';
import { Guest, type Dimm } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { X86_64 } from './machines.js';
import { markMemory } from './marker.js';
import { patchByMonitor } from './program.js';
import { settingFor, timed } from './scenario.js';

const WAYS = [
  ['(g) x86_64, Linux 6.1, kexec_load, memory added', ['-c']],
  ['(h) x86_64, Linux 6.1, kexec_file_load, memory added', ['-s']],
] as const;
const { packages } = await settingFor('(g), (h)', X86_64);

describe.skipIf(packages === undefined).each(WAYS)('%s', (name, options) => {
  test('control: the dump lacks the new memory', async () => {
    await timed(`${name}, control`, async () => {
      await withChangedGuest(options, async (guest, { dimm }) => {
        await expectWithout(await crashIntoDump(guest, 0), dimm);
      });
    });
  });

  test('patched: the dump has the new memory', async () => {
    await timed(`${name}, patched`, async (pauses) => {
      await withChangedGuest(options, async (guest, { dimm }) => {
        const marker = await markMemory(guest, dimm);
        await patchByMonitor(guest, pauses, ['apply', '--add-memory', `${dimm.start}+${dimm.size}`]);
        const vmcore = await crashIntoDump(guest, 0);
        await expectComplete(vmcore, dimm, marker);
        await expectReadable(vmcore, guest, marker);
      });
    });
  });
});

interface Changed {
  readonly dimm: Dimm;
}

/** A guest that got memory after its capture kernel was loaded. */
async function withChangedGuest(options: readonly string[], work: (guest: Guest, changed: Changed) => Promise<void>): Promise<void> {
  if (packages === undefined) throw new Error('no packages');
  await Guest.with(X86_64, packages, async (guest) => {
    await loadCaptureKernel(guest, options);
    await work(guest, { dimm: await guest.addMemory(256 * 2 ** 20) });
  });
}
