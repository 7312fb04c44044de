import { KdumpError } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';

/** All memory of this machine, as an ELF core file. */
export const KCORE = '/proc/kcore';

const CRASH_LOADED = '/sys/kernel/kexec_crash_loaded';
const LOCKDOWN = '/sys/kernel/security/lockdown';

/**
 * Opens something with `open`; of /proc/kcore, says at once what the kernel says: that no image is loaded, or why nobody may read it.
 *
 * @throws what `open` throws; KdumpError `input` when no kdump image is loaded
 */
export function aroundKcore<T>(fileSystem: FileSystem, path: string, open: () => T): T {
  if (path !== KCORE) return open();
  if (firstLine(fileSystem, CRASH_LOADED) === '0') {
    throw new KdumpError('input', 'no kdump image is loaded on this machine', {
      file: path,
      found: `0 in ${CRASH_LOADED}`,
      expected: '1',
      remedy: 'load one: start the kdump service of the system, or kexec -p',
    });
  }
  try {
    return open();
  } catch (error) {
    throw error instanceof KdumpError && isDenied(error) ? denied(fileSystem, error) : error;
  }
}

function isDenied({ details: { cause } }: KdumpError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
}

/** open_kcore() in fs/proc/kcore.c asks for CAP_SYS_RAWIO, and for a kernel that is not locked down for confidentiality. */
function denied(fileSystem: FileSystem, error: KdumpError): KdumpError {
  const isLockedDown = firstLine(fileSystem, LOCKDOWN)?.includes('[confidentiality]') === true;
  return new KdumpError(error.kind, error.problem, {
    ...error.details,
    found: isLockedDown ? `kernel lockdown "confidentiality" (${LOCKDOWN}), under which nobody reads it` : 'no CAP_SYS_RAWIO',
    remedy: isLockedDown
      ? 'boot without lockdown=confidentiality to look at the loaded image; the kdump service can still load it anew'
      : 'run it as root of the machine itself, not of a container',
  });
}

/** Undefined where this kernel has no such file. */
function firstLine(fileSystem: FileSystem, path: string): string | undefined {
  try {
    return Buffer.from(fileSystem.readStart(path, 256)).toString('latin1').split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}
