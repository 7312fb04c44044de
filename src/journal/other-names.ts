import type { FileStatus, FileSystem } from '../file/file-system.js';

/**
 * Why the open file may have a journal that is not seen beside the name by which it was opened; undefined where it would be.
 *
 * A journal lies in the directory of a name. A hard link is another name, and so is a bind mount of the file itself (`docker -v`, a `subPath` of
 * Kubernetes), which adds no link: the file is then on another mount than its directory (`mnt_id` of proc(5)).
 */
export function otherNames(fileSystem: FileSystem, descriptor: number, directory: number, { links }: FileStatus): string | undefined {
  if (links !== 1n) return `it has ${links} names`;
  // Names in an open directory are looked up through /proc.
  if (!fileSystem.exists(DESCRIPTORS)) return '/proc is not mounted';
  return mountOf(fileSystem, descriptor) === mountOf(fileSystem, directory) ? undefined : 'it is a mount point of its own';
}

const DESCRIPTORS = '/proc/self/fdinfo';
const LONGEST = 4096;

function mountOf(fileSystem: FileSystem, descriptor: number): string | undefined {
  const text = Buffer.from(fileSystem.readStart(`${DESCRIPTORS}/${descriptor}`, LONGEST)).toString('latin1');
  return /^mnt_id:\s*(\d+)/m.exec(text)?.[1];
}
