import { KdumpError, hex } from '../errors.js';
import { readAddressCells, readCells, encodeCells } from '../fdt/cells.js';
import { editFdt, type FdtEdit } from '../fdt/edit/edit.js';
import { parseFdt, type Fdt } from '../fdt/fdt.js';
import type { KdumpImage } from '../image/image.js';
import type { Finding } from '../check/finding.js';
import type { SegmentPlan } from './segment-plan.js';

/**
 * The FDT segment after `edits`, and after what the elfcorehdr's size asks of it: the capture kernel keeps clear only of what the memory
 * reservation block and linux,elfcorehdr name, and older kexec-tools name bufsz there, not memsz.
 *
 * @param elfcorehdrUsed bytes that the elfcorehdr will have
 * @returns undefined when the image has no FDT
 * @throws KdumpError `refused`, with the code `no-room`, when it does not fit the segment
 */
export function planFdt(
  image: KdumpImage,
  edits: readonly FdtEdit[],
  elfcorehdrUsed: number,
  compat: 'linux' | undefined,
  findings: Finding[],
): SegmentPlan | undefined {
  if (image.fdt === null) return undefined;
  const { segment, tree } = image.fdt;
  const size = Number(segment.memsz);
  const all = [...edits, ...(compat === 'linux' ? [] : elfcorehdrEdits(image, tree, elfcorehdrUsed, findings))];
  const { totalSize } = tree.header;
  // The tree was read when the image was opened; what is written is compared with the file once more.
  const before = new Uint8Array(size);
  before.set(tree.bytes);
  if (totalSize < before.length) image.memory.readInto(before.subarray(totalSize), segment.address + BigInt(totalSize));
  if (all.length === 0) return { name: 'fdt', address: segment.address, before, after: before };

  let result = editFdt(tree, all, { capacity: size });
  if (result.grown) {
    const index = tree.reservations.findIndex(
      ({ address, size: reserved }) => address === segment.address && reserved === BigInt(totalSize),
    );
    if (index >= 0) {
      const corrected: FdtEdit = { kind: 'setReservation', index, address: segment.address, size: BigInt(result.totalSize) };
      result = editFdt(tree, [...all, corrected], { capacity: size });
    }
    findings.push({
      severity: 'info',
      code: 'fdt-grows',
      message: `the FDT grows into its segment: totalsize ${totalSize} becomes ${result.totalSize} of ${size}${index >= 0 ? ', and its memory reservation entry with it' : ''}`,
    });
  }
  const occupied = before.subarray(totalSize, result.totalSize).findIndex((byte) => byte !== 0);
  if (occupied >= 0) {
    throw new KdumpError('refused', 'the FDT cannot grow: the rest of its segment is not free', {
      code: 'no-room',
      segment: 'fdt',
      offset: totalSize + occupied,
      found: `a byte that is not zero; ${result.usedSize} bytes needed`,
      expected: `totalsize ${totalSize} to be enough, or zeros up to ${hex(result.totalSize)}`,
      remedy: 'reload the kdump image with a larger reservation',
    });
  }
  const after = new Uint8Array(before);
  after.set(result.bytes);
  parseFdt(after);
  return { name: 'fdt', address: segment.address, before, after };
}

function elfcorehdrEdits(image: KdumpImage, tree: Fdt, used: number, findings: Finding[]): FdtEdit[] {
  const { address, memsz } = image.elfcorehdr.segment;
  const edits: FdtEdit[] = [];
  const index = tree.reservations.findIndex((entry) => entry.address === address);
  const reserved = tree.reservations[index];
  if (reserved !== undefined && reserved.size < used) {
    edits.push({ kind: 'setReservation', index, address, size: memsz });
    findings.push(extended('its memory reservation entry', reserved.size, memsz));
  }
  const chosen = tree.node('/chosen');
  const property = chosen?.property('linux,elfcorehdr');
  if (chosen === undefined || property === undefined) return edits;
  const cells = readAddressCells(tree.root);
  const size = readCells(property, cells.size, cells.address);
  if (size < used) {
    const value = new Uint8Array([...encodeCells([address], cells.address), ...encodeCells([memsz], cells.size)]);
    edits.push({ kind: 'setProperty', node: chosen, name: 'linux,elfcorehdr', value });
    findings.push(extended('linux,elfcorehdr', size, memsz));
  }
  return edits;
}

function extended(what: string, from: bigint, to: bigint): Finding {
  return {
    severity: 'info',
    code: 'elfcorehdr-reservation-extended',
    message: `the elfcorehdr outgrows ${what}: ${hex(from)} becomes ${hex(to)}, its memsz`,
  };
}
