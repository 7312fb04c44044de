import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { architectureNamed } from '../../src/arch/registry.js';
import { packedLayout } from '../../src/container/packed-layout.js';
import type { SegmentName } from '../../src/kexec/segment.js';
import { encodeJournal } from '../../src/journal/journal.js';
import type { Range } from '../../src/memory/range.js';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import { elfcorehdr, elfcorehdrBytes, load, note } from '../helpers/elfcorehdr.js';
import { FIXTURES, fixtureImage, section } from '../helpers/fixtures.js';
import { encodeElfcorehdr } from '../../src/elf/elfcorehdr.js';
import type { Field, Seed } from './mutator.js';

const HEADER_WIDTHS = [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2] as const;
const PROGRAM_HEADER_WIDTHS = [4, 4, 8, 8, 8, 8, 8, 8] as const;
const SECTION_HEADER_WIDTHS = [4, 4, 8, 8, 8, 8, 4, 4, 8, 8] as const;

function fieldsFrom(offset: number, widths: readonly (2 | 4 | 8)[], little: boolean): Field[] {
  let at = offset;
  return widths.map((width) => ({ offset: (at += width) - width, width, little }));
}

function tableFields(offset: number, count: number, widths: readonly (2 | 4 | 8)[], little: boolean): Field[] {
  const size = widths.reduce((sum: number, width) => sum + width, 0);
  return Array.from({ length: count }, (_, index) => fieldsFrom(offset + index * size, widths, little)).flat();
}

/** The fields of an ELF header at `offset` and of its program headers behind it. */
function elfFields(offset: number, programHeaders: number, little: boolean): Field[] {
  return [...fieldsFrom(offset + 16, HEADER_WIDTHS, little), ...tableFields(offset + 64, programHeaders, PROGRAM_HEADER_WIDTHS, little)];
}

function words(offset: number, length: number): Field[] {
  return Array.from({ length: Math.floor(length / 4) }, (_, index) => ({ offset: offset + 4 * index, width: 4 as const, little: false }));
}

const NOTES = [note(0xf000n), note(0xf400n), note(0xf800n, 0x1024n)];

export function elfSeeds(): Seed[] {
  const headers = [...NOTES, load(0n, 0x10000n, 0x21000n), load(0x10000n, 0x20000n), load(0x28000n, 0x40000n)];
  return (['lsb', 'msb'] as const).map((order) => ({
    bytes: Buffer.concat([elfcorehdrBytes(headers, order), Buffer.alloc(112)]),
    fields: elfFields(0, headers.length, order === 'lsb'),
  }));
}

export function fdtSeeds(): Seed[] {
  const tiny = section(fixtureImage('tiny-ppc64'), '.kexec.fdt').bytes;
  const captured = section(fixtureImage('ppc64le-4k'), '.kexec.fdt').bytes;
  const blobs = [
    tiny.subarray(0, tiny.readUInt32BE(4)),
    smallFdt(),
    buildFdt([node('a', prop('b', 'c'), node('d', prop('e', [1, 2])), node('f'))], {
      order: ['strings', 'struct', 'reserve'],
      gap: 3,
      slack: 9,
    }),
    buildFdt([prop('a', [1]), node('b', prop('c', 'd'), node('e')), node('f')], { header: { 5: 16, 9: 0 } }),
    captured.subarray(0, captured.readUInt32BE(4)),
  ];
  // The captured one is long, which makes each input slow, so it is one of twenty-one.
  blobs.unshift(...Array.from({ length: 4 }, () => blobs.slice(0, 4)).flat());
  return blobs.map((bytes) => ({ bytes, fields: bytes.length > 4096 ? words(0, 4096) : words(0, bytes.length) }));
}

const START = 0x20000;
const END = 0x28000;

/** Of a machine of 256 KiB, with a reservation of 32 KiB. */
function smallFdt(): Uint8Array {
  const cpu = (id: number): ReturnType<typeof node> =>
    node(
      `PowerPC,POWER9@${id.toString(16)}`,
      prop('device_type', 'cpu'),
      prop('reg', [id]),
      prop('ibm,ppc-interrupt-server#s', [id, id + 1]),
      prop('ibm,ppc-interrupt-gserver#s', [id, 0, id + 1, 0]),
      prop('ibm,associativity', [2, 0, id]),
      prop('ibm,my-drc-index', [0x10000000 + id]),
      prop('phandle', [id + 1]),
    );
  const drcTable = (...entries: string[]): Uint8Array =>
    Buffer.concat([cells(entries.length), Buffer.from(entries.map((each) => `${each}\0`).join(''), 'latin1')]);
  return buildFdt(
    [
      prop('#address-cells', [2]),
      prop('#size-cells', [2]),
      node(
        'chosen',
        prop('bootargs', 'elfcorehdr=136K nr_cpus=1'),
        prop('linux,elfcorehdr', [0, 0x22000, 0, 0x1000]),
        prop('linux,initrd-start', [0, 0x24000]),
        prop('linux,initrd-end', [0, 0x24010]),
      ),
      node(
        'cpus',
        prop('#address-cells', [1]),
        prop('#size-cells', [0]),
        prop('ibm,drc-names', drcTable('CPU 0', 'CPU 2', 'CPU 4', 'CPU 6')),
        prop('ibm,drc-types', drcTable('CPU', 'CPU', 'CPU', 'CPU')),
        prop('ibm,drc-indexes', [4, 0x10000000, 0x10000002, 0x10000004, 0x10000006]),
        cpu(0),
        cpu(2),
      ),
      node('memory@0', prop('device_type', 'memory'), prop('linux,usable-memory', [0, 0, 0, END])),
      node('ibm,dynamic-reconfiguration-memory', prop('linux,drconf-usable-memory', [0, 1, 0, 0, 0, 0x1000])),
      node('rtas', prop('linux,rtas-base', [0x26000]), prop('rtas-size', [0x1000])),
    ],
    {
      reservations: [
        [0x10000n, 0x10000n],
        [0x21000n, 0x10000n],
        [0x22000n, 0x1000n],
      ],
      slack: 0x400,
    },
  );
}

interface Piece {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** The segments of a small image, each a page; with an FDT for ppc64le, without one for x86_64. */
function smallSegments(architecture: 'ppc64le' | 'x86_64'): Piece[] {
  const isPpc64 = architecture === 'ppc64le';
  const headers = [...NOTES, ...(isPpc64 ? [load(0n, 0x1000n, 0x21000n)] : []), load(0x10000n, BigInt(START)), load(BigInt(END), 0x40000n)];
  const header = encodeElfcorehdr(elfcorehdr(headers, 'lsb', isPpc64 ? 21 : 62));
  const page = (bytes: Uint8Array): Uint8Array => {
    const result = new Uint8Array(0x1000);
    result.set(bytes);
    return result;
  };
  const pieces: Piece[] = [
    { name: 'kernel', address: 0x20000n, bytes: page(Buffer.alloc(64, 0x60)) },
    ...(isPpc64 ? [{ name: 'backup', address: 0x21000n, bytes: page(new Uint8Array(0)) } as const] : []),
    { name: 'elfcorehdr', address: 0x22000n, bytes: page(header) },
    { name: 'initrd', address: 0x24000n, bytes: page(Buffer.alloc(16, 0x70)) },
    ...(isPpc64 ? [{ name: 'fdt', address: 0x25000n, bytes: page(smallFdt()) } as const] : []),
  ];
  const purgatory = Buffer.alloc(0x1000);
  const hash = createHash('sha256');
  pieces
    .filter(({ name }) => name !== 'fdt')
    .forEach(({ address, bytes }, index) => {
      purgatory.writeBigUInt64LE(address, 0x40 + 16 * index);
      purgatory.writeBigUInt64LE(0x1000n, 0x48 + 16 * index);
      hash.update(bytes);
    });
  purgatory.set(hash.digest(), 0x200);
  purgatory.fill(0x61, 0, 0x20);
  return [...pieces, { name: 'purgatory', address: 0x23000n, bytes: purgatory }];
}

export const CRASH_KERNEL: Range = { start: BigInt(START), end: BigInt(END) };
export const PURGATORY_ADDRESS = 0x23000n;
/** Segments that the purgatory's digest covers. */
export const COVERED: readonly Range[] = [0x22000n, 0x20000n, 0x21000n, 0x24000n].map((start) => ({ start, end: start + 0x1000n }));

export function regionTableSeeds(): Seed[] {
  return (['ppc64le', 'x86_64'] as const).map((name) => {
    const bytes = smallSegments(name).find((piece) => piece.name === 'purgatory')?.bytes ?? new Uint8Array(0);
    return { bytes: bytes.slice(0, 0x400), fields: tableFields(0x40, 6, [8, 8], true) };
  });
}

function insideFields(pieces: readonly { name: SegmentName; bytes: Uint8Array; offset: number }[]): Field[] {
  return pieces.flatMap(({ name, bytes, offset }) => {
    if (name === 'elfcorehdr') return elfFields(offset, bytes[56] ?? 0, true);
    if (name === 'fdt') return words(offset, 0x600);
    return name === 'purgatory' ? tableFields(offset + 0x40, 6, [8, 8], true) : [];
  });
}

export function packedSeeds(): Seed[] {
  return (['ppc64le', 'x86_64'] as const).map((name) => {
    const pieces = smallSegments(name);
    const layout = packedLayout(
      architectureNamed(name),
      0x20000n,
      pieces.map((piece) => ({ name: piece.name, address: piece.address, memsz: 0x1000n, bufsz: BigInt(piece.bytes.length) })),
    );
    const bytes = new Uint8Array(layout.fileSize);
    bytes.set(layout.head);
    bytes.set(layout.tail, layout.tailOffset);
    const placed = layout.segments.map((segment) => ({
      name: segment.name,
      bytes: pieces.find(({ address }) => address === segment.address)?.bytes ?? new Uint8Array(0),
      offset: segment.fileOffset,
    }));
    for (const { bytes: contents, offset } of placed) bytes.set(contents, offset);
    const sections = Number(Buffer.from(bytes).readBigUInt64LE(40));
    return {
      bytes,
      fields: [
        ...elfFields(0, pieces.length, true),
        ...tableFields(sections, pieces.length + 2, SECTION_HEADER_WIDTHS, true),
        ...insideFields(placed),
      ],
    };
  });
}

/** The crashkernel range as it lies in memory, from {@link MEMORY_BASE} on. */
export function memorySeeds(): Seed[] {
  return (['ppc64le', 'x86_64'] as const).map((name) => memorySeed(name, 0));
}

export const MEMORY_BASE = BigInt(START);

function memorySeed(name: 'ppc64le' | 'x86_64', head: number): Seed {
  const bytes = new Uint8Array(head + END - START);
  const placed = smallSegments(name).map((piece) => ({ ...piece, offset: head + Number(piece.address) - START }));
  for (const piece of placed) bytes.set(piece.bytes, piece.offset);
  return { bytes, fields: insideFields(placed) };
}

/** The same as an ELF memory dump, and a page above the first MiB: all of a dump below it would look like backups of low memory. */
export function coreSeeds(): Seed[] {
  return (['ppc64le', 'x86_64'] as const).map((name) => {
    const head = 0x1000;
    const seed = memorySeed(name, head);
    const loads = [load(BigInt(START), BigInt(END), BigInt(head)), load(0x100000n, 0x101000n, BigInt(seed.bytes.length))];
    const bytes = Buffer.concat([seed.bytes, Buffer.alloc(0x1000, 0x80)]);
    bytes.set(encodeElfcorehdr(elfcorehdr([note(0x100n, 0n), ...loads], 'lsb', name === 'x86_64' ? 62 : 21)));
    return { bytes, fields: [...seed.fields, ...elfFields(0, 3, true)] };
  });
}

export function journalSeeds(): Seed[] {
  const image = { device: 1n, inode: 2n, size: 0x10000n, birthTime: 3n };
  const transaction = new Uint8Array(16).fill(0x5a);
  const bootId = '01234567-89ab-cdef-0123-456789abcdef';
  const record = (position: number, size: number): { position: number; before: Uint8Array; after: Uint8Array } => ({
    position,
    before: new Uint8Array(size).fill(1),
    after: new Uint8Array(size).fill(2),
  });
  return [
    { records: [record(0, 64), record(4096, 24), record(8192, 1)], markers: [0, 4096] },
    { records: [], markers: [] },
    { records: [record(0xffc0, 64)], markers: [0xffc0] },
  ].map(({ records, markers }, index) => {
    const kind = index === 2 ? 'undo' : 'journal';
    const bytes = encodeJournal({ kind, live: index === 1, transaction, image, bootId, records, markers });
    const fields = [
      ...fieldsFrom(8, [4, 4, 8, 4, 4, 8, 8, 8, 8], true),
      ...tableFields(4096, Math.floor((bytes.length - 4096) / 8), [8], true),
    ];
    return { bytes, fields };
  });
}

const textSeed = (text: string): Seed => ({ bytes: Buffer.from(text), fields: [] });

export const CHANGE_WORDS = [
  '{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', '\n', '\0', '-', '+', '.', '1e400', '1e5', '0x', '0xffffffffffffffff',
  '18446744073709551616', '9007199254740993', '99999999999999999999999999999999', 'null', 'true', '"__proto__"', '"constructor"', '"changes"',
  '"memory"', '"cpu"', '"id"', '"start"', '"size"', '"properties"', '"hex"', '"crashNotes"', '"offline"', '256M', 'T', '\u00b2', '[[[[[[[[', '{}{}',
]; // prettier-ignore

export function changeSeeds(): Seed[] {
  return [
    '{ "changes": [ { "action": "add", "memory": { "start": "0x80000000", "size": "256M" } }, { "action": "remove", "cpu": { "id": 2 } } ] }',
    '{"action":"add","memory":{"start":2147483648,"size":"0x10000000"}}\n{"action":"offline","cpu":{"id":"0x10"}}\n',
    '{ "changes": [ { "action": "online", "cpu": { "id": 8, "properties": { "reg": 8, "status": "okay", "list": ["a","b"], "cells": [1,2], "flag": true, "raw": {"hex": "00 01ff"} }, "crashNotes": { "address": "0x1000", "size": 536 } } } ] }',
  ].map(textSeed);
}

export const LOG_WORDS = [
  'segment[', '].mem', '].memsz', '].buf', '].bufsz', ' = ', '0x', '(nil)', 'ffffffffffffffff', 'kexec_load: entry = ', ' flags = 0x', 'nr_segments = ',
  'kexec_load failed', 'kexec_file: ', 'Loading segment ', 'kexec: ', 'kexec_file_load: type:', ', start:0x', '\n', '\r', '\0', '999999999', ' ', ':', '=',
]; // prettier-ignore

export function logSeeds(): Seed[] {
  const kernel = [0, 1, 2]
    .map((i) => `[    1.0] kexec_file: segment[${i}]: buf=0x00000000${i} bufsz=0x100 mem=0x2${i}000000 memsz=0x10000\n`)
    .join('');
  const user = [0, 1]
    .map(
      (i) =>
        `segment[${i}].buf   = 0x7f0000\nsegment[${i}].bufsz = 0x80\nsegment[${i}].mem   = 0x${i + 1}0000\nsegment[${i}].memsz = 0x10000\n`,
    )
    .join('');
  return [
    `${kernel}[    1.1] kexec_file: kexec_file_load: type:1, start:0x20000000 head:0x0 flags:0xe\n`,
    `kexec_load: entry = 0x10000 flags = 0x150001\nnr_segments = 2\n${user}`,
    `kexec_load: entry = 0x10000 flags = 0x150001\nnr_segments = 2\n${user}kexec_load: entry = 0x10000 flags = 0x150001\nnr_segments = 2\n${user}kexec_load failed: Device or resource busy\nentry       = 0x10000 flags = 0x150001\nnr_segments = 2\n${user}`,
  ].map(textSeed);
}

export const IOMEM_WORDS = [
  'System RAM', 'Crash kernel', 'System RAM (kmem)', 'System RAM (boot alias)', ' : ', '-', '  ', '    ', '\n', '\r\n', '\0', '00000000', 'ffffffffffffffff', '0x', 'g', '\t',
]; // prettier-ignore

export function iomemSeeds(): Seed[] {
  return [
    '00000000-00000fff : Reserved\n00001000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n  20000000-2fffffff : Crash kernel\n  30000000-30000fff : x\n    30000000-300000ff : y\n100000000-13fffffff : System RAM (virtio_mem)\n',
    '00000000-3fffffff : System RAM\n40000000-4fffffff : dax0\n  40000000-4fffffff : System RAM (kmem)\n',
  ].map(textSeed);
}

export const EVENT_WORDS = [
  'ACTION=', 'DEVPATH=', 'SUBSYSTEM=', 'SEQNUM=', 'OF_FULLNAME=', 'KERNEL[1.0] ', 'UDEV  [1.0] ', 'add', 'remove', 'online', 'offline', ' (memory)', ' (cpu)',
  '/devices/system/memory/memory', '/devices/system/cpu/cpu', '/sys', 'monitor will print the received events for:', 'memory ', 'cpu ', 'index ', 'count ',
  'indexed-count ', '0x', '4294967295', '\n', '\r\n', '\n\n', '\0', '{', '}', '"', '=',
]; // prettier-ignore

export function eventSeeds(): Seed[] {
  const event = (source: string, action: string, device: string, properties: string): string =>
    `${source}[12.5] ${action} /devices/system/${device} (${device.split('/')[0] ?? ''})\n${properties}`;
  const properties = (action: string, device: string, sequence: number): string =>
    `ACTION=${action}\nDEVPATH=/devices/system/${device}\nSUBSYSTEM=${device.split('/')[0] ?? ''}\nSEQNUM=${sequence}\n\n`;
  return [
    `monitor will print the received events for:\nUDEV - the event which udev sends out after rule processing\n\n${event('KERNEL', 'online', 'memory/memory32', properties('online', 'memory/memory32', 7))}${event('UDEV  ', 'online', 'memory/memory32', properties('online', 'memory/memory32', 7))}`,
    `${properties('add', 'cpu/cpu2', 1)}${properties('remove', 'memory/memory8', 2)}`,
    'memory add indexed-count 4 0x8000001f\ncpu remove index 0x10000008\nmemory add count 2\n{"action":"add","cpu":{"id":2}}\n',
  ].map(textSeed);
}

export const MANIFEST_WORDS = [
  ...CHANGE_WORDS, '"segments"', '"address"', '"memsz"', '"fill"', '"file"', '"digest"', '"covers"', '"tableOffset"', '"kernel"', '"architecture"', 'ppc64le', 's390x',
]; // prettier-ignore

export function manifestSeeds(): Seed[] {
  const fixtures = join(FIXTURES, 'manifests');
  const small = readdirSync(fixtures)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => readFileSync(join(fixtures, name), 'utf8'));
  return [
    '{"architecture":"ppc64le","entry":"0x10000","segments":[{"name":"kernel","address":"0x10000","memsz":"64K","fill":"0x60","size":64},{"name":"elfcorehdr","address":131072,"memsz":4096,"hex":"7f45 4c46"},{"name":"purgatory","address":"0x30000","memsz":"4K","file":"p.bin","digest":{"tableOffset":0,"digestOffset":"0x100","covers":["kernel","elfcorehdr"]}}]}',
    ...small,
  ].map(textSeed);
}
