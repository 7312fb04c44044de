import { mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** RAM, memory that is added, and initramfs of a guest. */
const NEEDED = 4 * 2 ** 30;

/** A folder for the memory of a guest: in shared memory where that is large enough. A container may have very little of it. */
export function guestFolder(): string {
  return mkdtempSync(join(freeBytes('/dev/shm') >= NEEDED ? '/dev/shm' : tmpdir(), 'kdump-hotplug-e2e-'));
}

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
