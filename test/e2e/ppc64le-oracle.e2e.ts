import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { has, run } from '../helpers/run.js';
import { Guest } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { saveMachineState } from './machine-state.js';
import { PPC64LE_UPDATING } from './machines.js';
import { settingFor, timed } from './scenario.js';
import { elfcorehdrOf, fdtOf } from './segments.js';

const NAME = '(d) ppc64le, Linux 6.12, the kernel updates the image itself';
const { packages } = await settingFor(NAME, PPC64LE_UPDATING);
const MIB = 2 ** 20;
const UPDATE_SECONDS = 30;

describe.skipIf(packages === undefined || !has('dtc'))(NAME, () => {
  test('the program makes of each event what the kernel makes of it', async () => {
    if (packages === undefined) throw new Error('no packages');
    await timed(NAME, async () => {
      await Guest.with(PPC64LE_UPDATING, packages, async (guest) => {
        const log = await loadCaptureKernel(guest, ['-c', '--hotplug']);
        const images = new Images(guest, log);

        const cpu = await guest.addCpu();
        // The node comes from the guest's live tree, as the kernel takes it.
        const { deviceTree } = await saveMachineState(guest);
        await images.compare('fdt', ['--add-cpu', String(cpu.id), ...deviceTree]);

        const first = await guest.addMemory(256 * MIB);
        await images.compare('elfcorehdr', ['--add-memory', `${first.start}+${first.size}`]);
        const second = await guest.addMemory(512 * MIB);
        await images.compare('elfcorehdr', ['--add-memory', `${second.start}+${second.size}`]);

        await guest.removeMemory(first);
        await images.compare('elfcorehdr', ['--remove-memory', `${first.start}+${first.size}`, '--compat', 'linux']);

        const another = await guest.addCpu();
        await images.compare('fdt', ['--add-cpu', String(another.id), ...(await saveMachineState(guest)).deviceTree]);
      });
    });
  });
});

/** The images of a guest, one after each event. */
class Images {
  private count = 0;
  private current: string;

  private readonly guest: Guest;
  private readonly log: string;

  constructor(guest: Guest, log: string) {
    this.guest = guest;
    this.log = log;
    this.current = this.capture();
  }

  /** The event just made the kernel change one segment; the program makes the same of the image before. */
  async compare(changed: 'elfcorehdr' | 'fdt', changes: readonly string[]): Promise<void> {
    const before = this.current;
    const kernels = await this.nextCapture(before);
    const ours = `${kernels}.ours`;
    const result = run(['apply', before, '-o', ours, ...changes]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    // Without the event they differ: what is compared below was not so before.
    expect(seen(before)[changed]).not.toEqual(seen(kernels)[changed]);
    expect(seen(ours)).toEqual(seen(kernels));
    this.current = kernels;
  }

  /** The kernel changes the image some time after the event can be seen. */
  private async nextCapture(before: string): Promise<string> {
    const until = Date.now() + UPDATE_SECONDS * 1000;
    let last = this.capture();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const next = this.capture();
      if (isSame(last, next) && !isSame(before, next)) return next;
      if (Date.now() > until) throw new Error(`the kernel did not change the image for ${UPDATE_SECONDS} s`);
      last = next;
    }
  }

  private capture(): string {
    this.count += 1;
    const image = join(this.guest.folder, `${this.count}.kdump`);
    const result = run(['capture', this.guest.ram, '--kexec-log', this.log, '-o', image]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    return image;
  }
}

function seen(image: string): { elfcorehdr: string; fdt: string } {
  return { elfcorehdr: elfcorehdrOf(image).toString('hex'), fdt: fdtOf(image) };
}

function isSame(one: string, other: string): boolean {
  return run(['diff', one, other]).status === 0;
}
