import { describe, expect, test } from 'vitest';
import { run } from '../helpers/run.js';
import { crashIntoDump, expectComplete } from './crash.js';
import { Guest } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { saveMachineState, type MachineState } from './machine-state.js';
import { PPC64LE } from './machines.js';
import { markMemory } from './marker.js';
import { patchPaused } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(f) ppc64le, Linux 6.1, checked against the guest itself';
const { packages } = await settingFor(NAME, PPC64LE);

describe.skipIf(packages === undefined)(NAME, () => {
  test('current as loaded, not current after a change, current again and right after sync', async () => {
    if (packages === undefined) throw new Error('no packages');
    await timed(NAME, async (pauses) => {
      await Guest.with(PPC64LE, packages, async (guest) => {
        const log = ['--kexec-log', await loadCaptureKernel(guest, ['-c'])];
        expect(check(guest, log, await saveMachineState(guest))).toEqual({ status: 0, codes: [] });

        const dimm = await guest.addMemory(256 * 2 ** 20);
        const cpu = await guest.addCpu();
        const state = await saveMachineState(guest);
        expect(check(guest, log, state)).toEqual({ status: 1, codes: ['cpu-missing', 'memory-missing'] });

        const marker = await markMemory(guest, dimm);
        await patchPaused(guest, pauses, ['sync', ...log, ...state.iomem, ...state.deviceTree]);
        expect(check(guest, log, state)).toEqual({ status: 0, codes: [] });
        await expectComplete(await crashIntoDump(guest, cpu.linuxNumber), dimm, marker);
      });
    });
  });
});

/** The exit code of `check`, and the errors it finds. */
function check(guest: Guest, log: readonly string[], { iomem, deviceTree }: MachineState): { status: number | null; codes: string[] } {
  const { status, stdout, stderr } = run(['check', guest.ram, ...log, ...iomem, ...deviceTree, '--json']);
  expect(stderr).toBe('');
  const { findings } = JSON.parse(stdout) as { findings: { severity: string; code: string }[] };
  const codes = findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
  return { status, codes: codes.sort() };
}
