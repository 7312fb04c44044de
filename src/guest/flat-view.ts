import { KdumpError } from '../errors.js';
import type { Mapping } from '../text/numbers.js';

const ENTRY = /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?[0-9]+, ([a-z/ -]+)\): (.*?)(?: @([0-9a-f]{16}))?(?: KVM)?$/;

/**
 * Where the memory backend called `region` lies in the guest's physical memory, from `info mtree -f` of QEMU's monitor: the flat view of the
 * address space `memory`, whose lines are `START-END (prio N, KIND): NAME @OFFSET`, hexadecimal, END inclusive, without `@` at offset 0.
 *
 * @returns the pieces in ascending order, neighbours joined
 * @throws KdumpError `input` when the text has another form, or does not map the region
 */
export function mappingsOf(text: string, region: string): Mapping[] {
  const view = text
    .split(/\r?\n(?=FlatView #)/)
    .find((each) => /^FlatView #[0-9]+$/m.test(each) && /^ AS "memory", root: system$/m.test(each.replaceAll('\r', '')));
  if (view === undefined) throw unreadable('no flat view of the address space "memory"');
  const mappings: Mapping[] = [];
  for (const line of view.split(/\r?\n/)) {
    const [, first, last, kind, name, offset = '0'] = ENTRY.exec(line) ?? [];
    if (first === undefined || last === undefined || kind !== 'ram' || name !== region) continue;
    const piece = {
      fileOffset: BigInt(`0x${offset}`),
      address: BigInt(`0x${first}`),
      size: BigInt(`0x${last}`) + 1n - BigInt(`0x${first}`),
    };
    const before = mappings.at(-1);
    if (before !== undefined && before.address + before.size === piece.address && before.fileOffset + before.size === piece.fileOffset) {
      mappings[mappings.length - 1] = { ...before, size: before.size + piece.size };
    } else mappings.push(piece);
  }
  if (mappings.length === 0) throw unreadable(`nothing of the memory backend ${region}`);
  return mappings;
}

function unreadable(found: string): KdumpError {
  return new KdumpError('input', 'the monitor does not tell where the RAM file lies in memory', {
    segment: 'info mtree -f',
    found,
    remedy: 'name the RAM file, with --base or --map',
  });
}
