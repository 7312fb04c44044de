import { createHash } from 'node:crypto';
import { parseElfcorehdr, encodeElfcorehdr } from '../../src/elf/elfcorehdr.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { formatDts } from '../../src/fdt/dts.js';
import { editFdt, newNodeFrom, type FdtEdit } from '../../src/fdt/edit/edit.js';
import { FDT_OLDEST_VERSION } from '../../src/fdt/constants.js';
import { parseFdt, type Fdt } from '../../src/fdt/fdt.js';
import { crashMemoryOf } from '../../src/description/crash-memory.js';
import { planHotplug } from '../../src/plan/plan.js';
import { soundFindings } from '../../src/check/sound.js';
import { verifyDigest } from '../../src/check/verify-digest.js';
import { parseKexecLog } from '../../src/kexec/kexec-log.js';
import { findRegionTable, findRegionTableByShape } from '../../src/kexec/region-table.js';
import { parseManifest } from '../../src/image/pack/manifest.js';
import { closeImage, openImage, type OpenImageOptions } from '../../src/image/open.js';
import { parseJournal } from '../../src/journal/journal.js';
import { changeToJson, formatChange, parseChanges, type Change } from '../../src/machine/changes.js';
import { EventReader } from '../../src/machine/events/event-reader.js';
import { crashKernelRanges, nestedIn, parseIomem, systemRam } from '../../src/machine/iomem.js';
import { KdumpError } from '../../src/errors.js';
import { parseJsonDocuments } from '../../src/text/strict-json.js';
import type { FuzzTarget } from './fuzz.js';
import { MemoryFileSystem } from '../helpers/memory-file-system.js';
import { Mutator, type Seed } from './mutator.js';
import { Random } from './random.js';
import * as seeds from './seeds.js';

/** A parser, and inputs for it that depend on `seed` alone. */
export type MakeTarget = (seed: number) => FuzzTarget & { readonly writes?: () => number };

function target(name: string, made: readonly Seed[], take: FuzzTarget['take'], words: readonly string[] = []): MakeTarget {
  return (seed) => {
    const mutator = new Mutator(new Random(seed), made, words);
    return { name, seeds: made, words, commands: 1, next: () => mutator.next(), take };
  };
}

/** What is thrown for a damaged or refused input is expected; anything else is not. */
function tolerated(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
  }
}

const elfcorehdr = target('elfcorehdr', seeds.elfSeeds(), (input) => {
  const contents = parseElfcorehdr(input);
  for (const architecture of ['ppc64le', 'x86_64', 's390x']) {
    crashMemoryOf({
      architecture: architectureNamed(architecture),
      crashKernelRanges: [{ start: 0x20000n, end: 0x28000n }],
      elfcorehdr: { contents },
    });
  }
  const again = encodeElfcorehdr(contents);
  if (Buffer.compare(again, input.subarray(0, again.length)) !== 0) throw new Error('written again it is not the same');
  return true;
});

/** Every other tree is printed, and the ones between are edited: each alone takes longer than parsing does. */
const fdt = target('FDT', seeds.fdtSeeds(), (input, turn) => {
  const tree = parseFdt(input, { oldest: FDT_OLDEST_VERSION });
  if (turn % 2 === 0) formatDts(tree);
  else edited(tree, input.length + 65536);
  return true;
});

function edited(tree: Fdt, capacity: number): void {
  const [child, ...others] = tree.root.children();
  const edits: FdtEdit[] = [
    { kind: 'setProperty', node: tree.root, name: 'reg', value: Uint8Array.of(0, 0, 0, 1) },
    { kind: 'addReservation', address: 0x1000n, size: 0x1000n },
  ];
  if (child !== undefined)
    edits.push({ kind: 'addNode', parent: tree.root, after: child, node: { ...newNodeFrom(child), name: 'added@0' } });
  const last = others.at(-1);
  if (last !== undefined) edits.push({ kind: 'removeNode', node: last });
  tolerated(() => {
    parseFdt(editFdt(tree, edits, { capacity }).bytes);
  });
}

const CHANGES: readonly (readonly Change[])[] = [
  [{ action: 'add', memory: { start: 0x80000n, end: 0x90000n } }],
  [{ action: 'remove', memory: { start: 0x28000n, end: 0x29000n } }],
  [{ action: 'add', cpu: { id: 4 } }],
];

/** Opens `input` as an image. What is accepted is checked, or a change of it planned, in turn. A write would be counted, and refused. */
function imageTarget(name: string, made: readonly Seed[], options: OpenImageOptions): MakeTarget {
  return (seed) => {
    const fileSystem = new MemoryFileSystem();
    const mutator = new Mutator(new Random(seed), made);
    return {
      name,
      seeds: made,
      words: [],
      // Opening, the check, and the digest.
      commands: 3,
      writes: () => fileSystem.writes,
      next: () => mutator.next(),
      take: (input, turn) => {
        fileSystem.contents = input;
        const image = openImage(fileSystem, 'image', options);
        if (turn % 2 === 0) {
          tolerated(() => {
            soundFindings(image);
          });
          tolerated(() => {
            verifyDigest(image);
          });
        } else {
          tolerated(() => {
            planHotplug(image, CHANGES[(turn >> 1) % CHANGES.length] ?? [], { pruneCpus: true });
          });
        }
        closeImage(image);
        return true;
      },
    };
  };
}

/** A journal with a digest of what it says, as somebody makes who knows the format. */
function signed(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4160) return bytes;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  view.writeBigUInt64LE(BigInt(bytes.length), 16);
  view.fill(0, 128, 160);
  view.set(createHash('sha256').update(view).digest(), 128);
  return bytes;
}

const journal: MakeTarget = (seed) => {
  const random = new Random(seed);
  const made = seeds.journalSeeds();
  const mutator = new Mutator(random, made);
  return {
    name: 'journal',
    seeds: made,
    words: [],
    commands: 1,
    repair: signed,
    next: () => (random.below(4) === 0 ? mutator.next() : signed(mutator.next())),
    take: (input) => {
      const { records, markers, image } = parseJournal(input);
      let end = 0;
      for (const { position, before, after } of records) {
        if (position < end || before.length !== after.length || BigInt(position + before.length) > image.size)
          throw new Error(`a record at ${position} that is out of place`);
        end = position + before.length;
      }
      if (markers.some((marker) => BigInt(marker) >= image.size)) throw new Error('a marker behind the end');
      return true;
    },
  };
};

const text = (input: Uint8Array, encoding: 'utf8' | 'latin1'): string =>
  Buffer.from(input.buffer, input.byteOffset, input.length).toString(encoding);

const changes = target(
  'change file',
  seeds.changeSeeds(),
  (input) => {
    for (const change of parseChanges(text(input, 'utf8'))) {
      formatChange(change);
      JSON.stringify(changeToJson(change));
    }
    return true;
  },
  seeds.CHANGE_WORDS,
);

const kexecLog = target(
  'kexec log',
  seeds.logSeeds(),
  (input) => parseKexecLog(text(input, 'latin1')).segments.length > 0,
  seeds.LOG_WORDS,
);

const iomem = target(
  'iomem',
  seeds.iomemSeeds(),
  (input) => {
    const entries = parseIomem(text(input, 'latin1'));
    crashKernelRanges(entries);
    nestedIn(entries, { start: 0n, end: 1n << 64n });
    return systemRam(entries).length > 0;
  },
  seeds.IOMEM_WORDS,
);

const manifest = target(
  'manifest',
  seeds.manifestSeeds(),
  (input) => parseManifest(text(input, 'utf8')).segments.length >= 0,
  seeds.MANIFEST_WORDS,
);

const json = target('JSON', seeds.changeSeeds(), (input) => parseJsonDocuments(text(input, 'utf8')).length >= 0, seeds.CHANGE_WORDS);

/** Comes in pieces, as standard input does; where they end makes no difference. */
const events = target(
  'event stream',
  seeds.eventSeeds(),
  (input, turn) => {
    const reader = new EventReader();
    const middle = Math.floor(input.length / (1 + (turn % 7)));
    const all = [...reader.push(input.subarray(0, middle)), ...reader.push(input.subarray(middle)), ...reader.end()];
    return all.some(({ source }) => source !== 'unknown');
  },
  seeds.EVENT_WORDS,
);

/** In the purgatory of a small image, of which the segments are known, or the elfcorehdr alone. */
const regionTable = target('region table', seeds.regionTableSeeds(), (input) => {
  // Memory is read into buffers that begin at a multiple of eight.
  const bytes = new Uint8Array(input.length & ~7);
  bytes.set(input.subarray(0, bytes.length));
  const address = seeds.PURGATORY_ADDRESS;
  const [elfcorehdr] = seeds.COVERED;
  const known = findRegionTable(bytes, address, seeds.COVERED, 'lsb');
  for (const alwaysCovered of [true, false])
    findRegionTableByShape(
      bytes,
      address,
      seeds.CRASH_KERNEL,
      elfcorehdr === undefined ? [] : [{ range: elfcorehdr, alwaysCovered }],
      'lsb',
    );
  if (known?.regions.some(({ start }) => !seeds.COVERED.some((range) => range.start === start)) === true)
    throw new Error('a table that names no segment');
  return known !== undefined;
});

/** Every parser of something that a stranger may have written. */
export const targets: readonly MakeTarget[] = [
  elfcorehdr,
  fdt,
  imageTarget('packed image', seeds.packedSeeds(), {}),
  imageTarget('raw image', seeds.memorySeeds(), { format: 'raw', base: seeds.MEMORY_BASE }),
  imageTarget('ELF memory dump', seeds.coreSeeds(), {}),
  journal,
  changes,
  kexecLog,
  iomem,
  manifest,
  json,
  events,
  regionTable,
];
