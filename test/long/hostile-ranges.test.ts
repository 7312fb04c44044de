import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { buildFdt, node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { encodeElfcorehdr } from '../../src/elf/elfcorehdr.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';
import { measured } from './peak-memory.js';

// A crashkernel range of 512 MiB whose owner wants the search to be long: what is read of it, and the memory that this takes, are bounded.

const MIB = 1 << 20;
const BASE = 0x10000000;
const SIZE = 512 * MIB;
const PAGE = 0x1000;
const RANGE = ['--crash-kernel', '0x10000000-0x2fffffff'];
const folder = scratchFolder();

const headers = (count: number): Uint8Array =>
  encodeElfcorehdr(
    elfcorehdr(
      [note(0x1000n), ...Array.from({ length: count - 1 }, (_, i) => load(BigInt(i) * 0x1000n, BigInt(i + 1) * 0x1000n))],
      'lsb',
      183,
    ),
  );
const TREE = buildFdt([
  prop('#address-cells', [2]),
  prop('#size-cells', [2]),
  node('cpus', prop('#address-cells', [1]), prop('#size-cells', [0]), node('cpu@0', prop('device_type', 'cpu'), prop('reg', [0]))),
  node('chosen', prop('linux,elfcorehdr', [0, BASE + PAGE, 0, 0x400000]), prop('linux,usable-memory-range', [0, BASE, 0, SIZE])),
]);
const words = (...values: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);
const entry = words(0x10100000n, 0x1000n);
/** Fifteen entries of one range, which overlap each other. */
const contradicted = words(...Array.from({ length: 15 }, () => [0x10100000n, 0x1000n]).flat(), 0n, 0n, 0n);

/** The file, `fill` over all of the range, the elfcorehdr, and `heads` on the pages behind it. */
function hostile(name: string, fill: Uint8Array, first: Uint8Array, head: Uint8Array, heads: number): string {
  const path = join(folder, `${name.replaceAll(' ', '-')}.ram`);
  const memory = Buffer.alloc(SIZE);
  if (fill.length > 0) memory.fill(fill);
  memory.set(first, PAGE);
  const start = PAGE + Math.ceil(first.length / PAGE) * PAGE;
  for (let index = 0; index < heads && start + (index + 1) * PAGE <= SIZE; index += 1) memory.set(head, start + index * PAGE);
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, BASE + SIZE);
  writeSync(descriptor, memory, 0, SIZE, BASE);
  closeSync(descriptor);
  return path;
}

/** Bytes that are read of the first range, the honest one. */
let honest = 0;

describe.each([
  ['an honest one', new Uint8Array(), headers(2), TREE, 1, 0],
  ['full of entries of region tables', entry, headers(2), TREE, 1, 0],
  ['64 device trees in entries of region tables', entry, headers(2), TREE, 64, 3],
  ['region tables that something contradicts', contradicted, headers(2), TREE, 1, 3],
  ['64 device trees that name one elfcorehdr of 65000 headers', new Uint8Array(), headers(65_000), TREE, 64, 3],
  ['FDT magic on each page', new Uint8Array(), headers(2), TREE.subarray(0, 4), Infinity, 3],
  ['elfcorehdrs on each page', new Uint8Array(), headers(2), headers(2), Infinity, 3],
] as const)('a range of 512 MiB: %s', (name, fill, first, head, heads, status) => {
  const path = hostile(name, fill, first, head, heads);

  test('is read once more at most than an honest one, and takes at most 128 MiB', () => {
    let bytes = 0;
    const read: typeof nodeFileSystem.read = (descriptor, into, position) => {
      bytes += into.length;
      return nodeFileSystem.read(descriptor, into, position);
    };
    const result = runHere(['inspect', path, ...RANGE], { fileSystem: { ...nodeFileSystem, read } });
    expect(result.status, result.stderr).toBe(status);
    if (honest === 0) honest = bytes;
    // Region tables are looked for twice at most, not once; the budgets of headers are small beside that.
    expect(bytes).toBeLessThanOrEqual(honest + SIZE + 32 * MIB);
    const { peak, stderr } = measured(['inspect', path, ...RANGE], folder);
    console.info(`${name}: ${(bytes / MIB).toFixed(0)} MiB read, peak ${peak.toFixed(0)} MiB`);
    expect(peak, stderr).toBeLessThanOrEqual(128);
  });
});
