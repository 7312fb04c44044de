import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Guest } from './guest.js';
import { CAPTURE_INITRAMFS, CAPTURE_KERNEL } from './initramfs.js';

/**
 * Loads the capture kernel in a guest.
 *
 * @param options of kexec besides `-p -d`: `-c` or `-s`, `--hotplug`
 * @returns the file on this machine that holds kexec's output
 */
export async function loadCaptureKernel(guest: Guest, options: readonly string[]): Promise<string> {
  const command = ['kexec', ...options, '-p', '-d', CAPTURE_KERNEL, `--initrd=${CAPTURE_INITRAMFS}`];
  // With -s the kernel places the segments, and says where when it is asked to.
  await guest.console.run(
    "mount -t debugfs debugfs /sys/kernel/debug; echo 'file kexec_file.c +p' > /sys/kernel/debug/dynamic_debug/control",
  );
  const load = `${command.join(' ')} --append="${guest.machine.captureCommandLine}" 2>&1`;
  const output = await guest.console.read(`${load}; dmesg | grep kexec_file; true`);
  const loaded = await guest.console.run('cat /sys/kernel/kexec_crash_loaded');
  if (loaded.trim() !== '1') throw new Error(`the capture kernel was not loaded: ${output.toString('latin1')}`);
  const log = join(guest.folder, 'kexec.log');
  writeFileSync(log, output);
  return log;
}
