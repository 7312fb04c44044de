// Kdump images of any size: the captured one, with a larger initrd, and memory of a guest with it in it.
import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { FDT_ROOM, library, openFixture } from './fixture.mjs';

const { editFdt, encodeElfcorehdr, nodeFileSystem, packImage, closeImage } = library;

const PAGE = 0x10000;
const PIECE = 1 << 20;
const CRASH_KERNEL = 0x20000000n;
const CRASH_KERNEL_END = 0x40000000n;
/** Behind the firmware's memory, which lies in the captured crashkernel range. */
const INITRD_AT = 0x30000000n;
const PT_LOAD = 1;
const PT_NOTE = 4;

/**
 * Segments of a loaded image, all of it consistent: FDT, elfcorehdr, region table and digest.
 *
 * @param initrdSize bytes, whole pages
 * @param contents `sparse`: zeros but for the first page; `dense`: random bytes, the same MiB over and over
 * @param covers names of the segments that the purgatory's digest covers
 * @param ranges memory ranges behind the crashkernel range; `notes` PT_NOTEs
 */
export function segmentsOf({ initrdSize, contents = 'sparse', covers = ['kernel', 'backup', 'initrd'], ranges = 1, notes = 8 }) {
  const fixture = openFixture();
  const bytes = Object.fromEntries(
    fixture.segments.map(({ name, address, memsz }) => [name, fixture.memory.read(address, Number(memsz < PIECE ? memsz : PIECE))]),
  );
  const segments = new Map(fixture.segments.map(({ name, address, memsz }) => [name, { name, address, memsz }]));
  const needed = INITRD_AT + BigInt(initrdSize) + BigInt(PAGE);
  const end = needed > CRASH_KERNEL_END ? needed : CRASH_KERNEL_END;
  segments.set('initrd', { name: 'initrd', address: INITRD_AT, memsz: BigInt(initrdSize) });
  segments.set('fdt', { ...segments.get('fdt'), address: end - BigInt(PAGE) });
  const elfcorehdrSize = BigInt(Math.max(8, Math.ceil((64 + 56 * (ranges + notes + 64)) / PAGE)) * PAGE);
  // The elfcorehdr grows downwards into the room of the kernel, which has more than it uses.
  const elfcorehdr = { name: 'elfcorehdr', address: segments.get('purgatory').address - elfcorehdrSize, memsz: elfcorehdrSize };
  const moved = segments.get('elfcorehdr').address - elfcorehdr.address;
  segments.set('elfcorehdr', elfcorehdr);
  segments.set('backup', { ...segments.get('backup'), address: segments.get('backup').address - moved });
  segments.set('kernel', { ...segments.get('kernel'), memsz: segments.get('kernel').memsz - moved });

  bytes.elfcorehdr = elfcorehdrBytes(fixture, segments.get('backup').address, end, ranges, notes);
  bytes.fdt = fdtBytes(fixture, segments, end);
  const pieces = contentsOf(bytes, segments, contents);
  bytes.purgatory = purgatoryBytes(
    fixture,
    bytes.purgatory,
    covers.map((name) => segments.get(name)),
    pieces,
  );
  const result = {
    architecture: fixture.architecture,
    entry: fixture.entry,
    segments: [...segments.values()],
    crashKernel: [CRASH_KERNEL, end],
  };
  closeImage(fixture);
  return {
    ...result,
    segments: result.segments.map((segment) => ({ ...segment, size: sizeOf(segment, bytes, contents), contents: () => pieces(segment) })),
  };
}

/** Writes a packed image. */
export function writePacked(path, image) {
  packImage(nodeFileSystem, path, image, true);
}

/** The memory of a guest: `size` bytes, random where they are not in the crashkernel range. */
export function writeMemory(path, image, size) {
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, size);
  const [from, to] = image.crashKernel.map(Number);
  const random = randomFillSync(Buffer.alloc(PIECE));
  for (let position = 0; position < size; position += PIECE) {
    if (position < from || position >= to) writeSync(descriptor, random, 0, PIECE, position);
  }
  for (const { address, contents } of image.segments) {
    let position = Number(address);
    for (const piece of contents()) position += writeSync(descriptor, piece, 0, piece.length, position);
  }
  closeSync(descriptor);
}

/** What `kexec -d` prints of it. */
export function kexecLog({ segments }) {
  return segments
    .flatMap(({ address, memsz, size }, index) => [
      `segment[${index}].buf   = 0x1000`,
      `segment[${index}].bufsz = 0x${size.toString(16)}`,
      `segment[${index}].mem   = 0x${address.toString(16)}`,
      `segment[${index}].memsz = 0x${memsz.toString(16)}`,
    ])
    .join('\n');
}

function sizeOf({ name, memsz }, bytes, contents) {
  if (name === 'initrd') return memsz;
  return contents === 'dense' && name === 'kernel' ? memsz : BigInt(bytes[name].length);
}

/** Pieces of a segment's contents; the rest is a hole. */
function contentsOf(bytes, segments, contents) {
  const random = randomFillSync(Buffer.alloc(PIECE));
  return function* pieces({ name, memsz }) {
    const fills = name === 'initrd' || name === 'kernel';
    if (!fills) yield bytes[name];
    else if (contents === 'sparse') yield bytes[name].subarray(0, 4096);
    else for (let left = Number(memsz); left > 0; left -= PIECE) yield random.subarray(0, Math.min(left, PIECE));
  };
}

function elfcorehdrBytes(fixture, backup, end, ranges, notes) {
  const { header, programHeaders } = fixture.elfcorehdr.contents;
  const loads = programHeaders.filter(({ type }) => type === PT_LOAD);
  const note = programHeaders.find(({ type }) => type === PT_NOTE);
  const above = loads.find(({ paddr }) => paddr >= CRASH_KERNEL_END);
  const gap = 0x10000000n;
  const at = (address, size) => ({
    ...above,
    offset: address,
    paddr: address,
    vaddr: address + (above.vaddr - above.paddr),
    memsz: size,
    filesz: size,
  });
  return encodeElfcorehdr({
    header,
    programHeaders: [
      ...Array.from({ length: notes + 1 }, (_, index) => ({
        ...note,
        offset: 0x5000000n + BigInt(index) * 0x400n,
        paddr: 0x5000000n + BigInt(index) * 0x400n,
      })),
      ...loads.filter((load) => load !== above).map((load) => (load.offset === load.paddr ? load : { ...load, offset: backup })),
      // Apart from each other, or they would be one range.
      ...Array.from({ length: ranges }, (_, index) => at(end + gap * BigInt(2 * index), gap)),
    ],
  });
}

function fdtBytes(fixture, segments, end) {
  const { tree, segment } = fixture.fdt;
  const cells = (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  const place = (name) => segments.get(name);
  const sizes = {
    initrd: place('initrd').memsz,
    elfcorehdr: place('elfcorehdr').memsz,
    backup: place('backup').memsz,
    fdt: segment.memsz,
  };
  const reservations = fixture.segments
    .filter(({ name }) => name in sizes)
    .map(({ name, address }) => ({
      kind: 'setReservation',
      index: tree.reservations.findIndex((each) => each.address === address),
      address: place(name).address,
      size: sizes[name],
    }));
  const chosen = tree.node('/chosen');
  const memory = tree.root.children().find(({ name }) => name.startsWith('memory@'));
  const bootargs = `console=hvc0 nr_cpus=1 elfcorehdr=${place('elfcorehdr').address / 1024n}K \0`;
  const set = (node, name, value) => ({ kind: 'setProperty', node, name, value });
  return editFdt(
    tree,
    [
      ...reservations,
      set(chosen, 'linux,initrd-start', cells(place('initrd').address)),
      set(chosen, 'linux,initrd-end', cells(place('initrd').address + place('initrd').memsz)),
      set(chosen, 'bootargs', Buffer.from(bootargs, 'latin1')),
      set(memory, 'linux,usable-memory', Buffer.concat([cells(0), cells(end)])),
    ],
    { capacity: FDT_ROOM },
  ).bytes;
}

/** The captured purgatory, with another region table and its digest in the place of the captured one. */
function purgatoryBytes(fixture, captured, covered, pieces) {
  const bytes = Buffer.from(captured);
  const { regions } = fixture.purgatory;
  const before = createHash('sha256');
  for (const region of regions.regions) for (const chunk of fixture.memory.chunks(region)) before.update(chunk.bytes);
  const digestAt = bytes.indexOf(before.digest());
  const tableAt = Number(regions.address - fixture.purgatory.segment.address);
  bytes.fill(0, tableAt, tableAt + 256);
  const after = createHash('sha256');
  const zeros = Buffer.alloc(PIECE);
  covered.forEach((segment, index) => {
    bytes.writeBigUInt64LE(segment.address, tableAt + 16 * index);
    bytes.writeBigUInt64LE(segment.memsz, tableAt + 16 * index + 8);
    let left = Number(segment.memsz);
    for (const piece of pieces(segment)) {
      after.update(piece);
      left -= piece.length;
    }
    for (; left > 0; left -= PIECE) after.update(zeros.subarray(0, Math.min(left, PIECE)));
  });
  bytes.set(after.digest(), digestAt);
  return bytes;
}
