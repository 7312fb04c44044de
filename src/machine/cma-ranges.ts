import { KdumpError } from '../errors.js';
import { excerpt } from '../text/excerpt.js';
import type { Range } from '../memory/range.js';
import type { DirectoryReader } from './device-tree.js';
import { sysfsText } from './sysfs-text.js';

/** Most that a kernel has (CRASHKERNEL_CMA_RANGES_MAX in include/linux/crash_reserve.h). */
const MOST = 4;
/** A file of sysfs has one page, of 64 KiB at most. */
const LONGEST = 0x10000;

/**
 * The memory that `crashkernel=…,cma` reserved: a line `START-END` each, hexadecimal without 0x, END inclusive (crash_cma_ranges_show() in
 * kernel/kexec_core.c, since Linux 6.19). Empty where there is none.
 *
 * @throws KdumpError `input`, with the path in `file`, for text of another form
 */
export function readCmaRanges(reader: DirectoryReader, path: string): Range[] {
  const text = sysfsText(reader, path, LONGEST);
  const lines = text === '' ? [] : text.split('\n');
  const bad = (found: string): KdumpError =>
    new KdumpError('input', 'not the CMA ranges of a crashkernel', {
      file: path,
      found,
      expected: `at most ${MOST} lines "START-END" with hexadecimal addresses`,
      remedy: 'give /sys/kernel/kexec/crash_cma_ranges or a copy of it',
    });
  if (lines.length > MOST) throw bad(`${lines.length} lines`);
  return lines.map((line) => {
    const [, first, last] = /^([0-9a-f]{1,16})-([0-9a-f]{1,16})$/.exec(line) ?? [];
    const range = { start: BigInt(`0x${first ?? '0'}`), end: BigInt(`0x${last ?? '0'}`) + 1n };
    if (first === undefined || range.end <= range.start) throw bad(excerpt(line));
    return range;
  });
}
