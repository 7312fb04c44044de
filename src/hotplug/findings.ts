import { hex } from '../errors.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import { PT_NOTE } from '../elf/constants.js';
import type { KdumpImage } from '../image/image.js';
import { formatRange, overlaps } from '../memory/range.js';
import { crashMemoryOf, isOneByteTooLong, type CrashMemory } from './crash-memory.js';
import type { Finding } from './finding.js';

/** What can be said against an image from its elfcorehdr and FDT alone, without reading the large segments. */
export function quickFindings(image: KdumpImage): Finding[] {
  const crash = crashMemoryOf(image);
  return [...oneByteTooLong(crash), ...misplacedNotes(crash), ...overlappingMemory(crash), ...shortReservation(image)];
}

function oneByteTooLong(crash: CrashMemory): Finding[] {
  return crash.ranges
    .filter(({ kind, programHeader }) => kind === 'ram' && isOneByteTooLong(programHeader))
    .map(({ range, programHeader }) => ({
      severity: 'warning',
      code: 'one-byte-too-long',
      message: `memory ${formatRange(range)} is listed one byte too long (p_memsz ${hex(programHeader.memsz)}), as Linux 6.12 to 7.2 on ppc64 writes the rest of a range it removed memory from`,
    }));
}

function misplacedNotes(crash: CrashMemory): Finding[] {
  if (!crash.others.some((each) => each.type === PT_NOTE)) return [];
  return [
    {
      severity: 'error',
      code: 'notes-not-first',
      message:
        'a PT_NOTE lies behind a PT_LOAD: the capture kernel merges the notes as if they were all in front (merge_note_headers_elf64)',
    },
  ];
}

function overlappingMemory(crash: CrashMemory): Finding[] {
  const sorted = crash.ranges.map(({ range }) => range).sort((a, b) => (a.start < b.start ? -1 : 1));
  return sorted.flatMap((range, index): Finding[] => {
    const next = sorted[index + 1];
    if (next === undefined || !overlaps(range, next)) return [];
    return [{ severity: 'error', code: 'overlapping-memory', message: `memory ${formatRange(range)} and ${formatRange(next)} overlap` }];
  });
}

function shortReservation({ fdt, elfcorehdr }: KdumpImage): Finding[] {
  const used = elfcorehdrSize(elfcorehdr.contents.programHeaders.length);
  const reserved = fdt?.tree.reservations.find(({ address }) => address === elfcorehdr.segment.address);
  if (reserved === undefined || reserved.size >= used) return [];
  return [
    {
      severity: 'error',
      code: 'elfcorehdr-not-reserved',
      message: `the memory reservation block keeps ${hex(reserved.size)} bytes of the elfcorehdr clear, which has ${hex(used)}: the capture kernel may overwrite the rest before reading it`,
    },
  ];
}
