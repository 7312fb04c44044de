import { describe, expect, test } from 'vitest';
import { run, type RunResult } from '../helpers/run.js';
import { Guest } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { X86_64 } from './machines.js';
import { Watcher } from './program.js';
import { settingFor, timed } from './scenario.js';

const NAME = '(i) x86_64, Linux 6.1, loaded, unloaded, restarted, loaded again';
const { packages } = await settingFor('(i)', X86_64);

/** `check` of the guest's RAM file, and of nothing else. */
function checked(guest: Guest, ...more: string[]): RunResult & { status: number | null } {
  return run(['check', guest.ram, '--json', ...more]);
}

function expectNothingLoaded(guest: Guest): void {
  const { status, stdout } = checked(guest);
  expect(status, stdout).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ loaded: false, findings: [{ code: 'not-loaded' }] });
  const sync = run(['sync', '--live', '--force', guest.ram, '--json']);
  expect(sync.status, sync.stdout).toBe(3);
  expect(JSON.parse(sync.stdout)).toMatchObject({ error: { code: 'not-loaded' } });
}

function expectCurrent(guest: Guest): void {
  const { status, stdout } = checked(guest);
  expect(status, stdout).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ sound: true, current: true, compared: { memory: true, cpus: true }, digest: 'match' });
}

describe.skipIf(packages === undefined)(NAME, () => {
  test('the kernel says what is loaded, and the watcher goes on over the restart', async () => {
    if (packages === undefined) throw new Error('no packages');
    await timed(NAME, async (pauses) => {
      await Guest.with(X86_64, packages, async (guest) => {
        const watcher = new Watcher(guest);
        await watcher.says('no kdump image is loaded');
        expectNothingLoaded(guest);
        await loadCaptureKernel(guest, ['-c']);
        expectCurrent(guest);
        await guest.console.run('kexec -p -u');
        expectNothingLoaded(guest);
        // Control: by content alone it is all there.
        const [, range = ''] = /^ *([0-9a-f]+-[0-9a-f]+) : Crash kernel$/m.exec(await guest.console.run('cat /proc/iomem')) ?? [];
        const byContent = checked(guest, '--crash-kernel', range.replace(/(\w+)-(\w+)/, '0x$1-0x$2'));
        expect(byContent.status).toBe(1);
        expect(JSON.parse(byContent.stdout)).toMatchObject({
          sound: true,
          current: false,
          digest: 'match',
          findings: [{ code: 'image-not-loaded' }],
        });
        await guest.restart();
        expectNothingLoaded(guest);
        await loadCaptureKernel(guest, ['-c']);
        expectCurrent(guest);
        await guest.addMemory(256 * 2 ** 20);
        await watcher.says('"applied"');
        expectCurrent(guest);
        await watcher.end(pauses);
      });
    });
  });
});
