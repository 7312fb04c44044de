import { describe, expect, test } from 'vitest';
import { crashIntoDump } from './crash.js';
import { Guest, type Dimm } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { PPC64LE } from './machines.js';
import { markMemory, type Marker } from './marker.js';
import { patchByMonitor } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(b) ppc64le, Linux 6.1, memory removed';
const { packages } = await settingFor(NAME, PPC64LE);

describe.skipIf(packages === undefined)(NAME, () => {
  // On real hardware, reading memory that is not there may be a machine check; QEMU answers with zeros.
  test('control: the dump promises memory that is gone', async () => {
    await timed(`${NAME}, control`, async () => {
      await withChangedGuest(async (guest, { dimm, marker }) => {
        const vmcore = await crashIntoDump(guest, 0);
        expect(vmcore.lists(dimm)).toBe(true);
        expect(await vmcore.has(marker)).toBe(false);
      });
    });
  });

  test('patched: the dump has all memory but that', async () => {
    await timed(`${NAME}, patched`, async (pauses) => {
      await withChangedGuest(async (guest, { dimm }) => {
        await patchByMonitor(guest, pauses, ['apply', '--remove-memory', `${dimm.start}+${dimm.size}`]);
        const vmcore = await crashIntoDump(guest, 0);
        expect(vmcore.touches(dimm)).toBe(false);
        expect(await vmcore.readableSize()).toBe(vmcore.promisedSize);
      });
    });
  });
});

interface Changed {
  readonly dimm: Dimm;
  /** What was in the memory that is gone. */
  readonly marker: Marker;
}

/** A guest that lost memory after its capture kernel was loaded. */
async function withChangedGuest(work: (guest: Guest, changed: Changed) => Promise<void>): Promise<void> {
  if (packages === undefined) throw new Error('no packages');
  await Guest.with(PPC64LE, packages, async (guest) => {
    const dimm = await guest.addMemory(256 * 2 ** 20);
    await loadCaptureKernel(guest, ['-c']);
    const marker = await markMemory(guest, dimm);
    await guest.console.run('rm /tmp/marked-*');
    await guest.removeMemory(dimm);
    await work(guest, { dimm, marker });
  });
}
