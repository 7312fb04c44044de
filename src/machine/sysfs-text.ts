import type { DirectoryReader } from './device-tree.js';

/** Longest text of a file that holds one value. */
const SHORT_FILE = 64;

/**
 * The text of a small sysfs file, without its newline. sysfs says that each of its files has 4096 bytes, so tar pads what it reads with NUL up to
 * there: the value ends at the first one.
 *
 * @param limit most bytes that are read
 */
export function sysfsText(reader: DirectoryReader, path: string, limit: number = SHORT_FILE): string {
  const text = Buffer.from(reader.readFile(path, limit)).toString('latin1');
  return text.replace(/\0+$/, '').trim();
}
