import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import {
  build,
  BuiltFile,
  elfcorehdrBytes,
  fdtBytes,
  load,
  partsOf,
  planOf,
  programHeadersOf,
  ramFile,
  shown,
  type ArchitectureName,
  type Built,
} from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { EVERY_WAY } from '../helpers/every-way.js';
import { scratchFolder } from '../helpers/run.js';

// Memory may hold an old load that was left behind, and much else that looks like a part of an image.

const folder = scratchFolder();
let files = 0;
function fresh(name: string): string {
  files += 1;
  return join(folder, `${files}-${name}`);
}

interface Inspected {
  crashKernel: { start: string };
  segments: { name: string; address: string }[];
}

function inspected(path: string, options: readonly string[]): Inspected {
  const result = run(['inspect', path, ...options, '--json']);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(result.stdout) as Inspected;
}

const elfcorehdrIn = ({ segments }: Inspected): bigint => BigInt(segments.find(({ name }) => name === 'elfcorehdr')?.address ?? 0);

/** What kexec -d prints of a load. */
function kexecLog({ segments }: Built): string {
  const sorted = [...segments].sort((a, b) => (a.address < b.address ? -1 : 1));
  const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
  const lines = sorted.flatMap(({ address, memsz, bytes }, index) => [
    `segment[${index}].buf   = 0x7fff81966010`,
    `segment[${index}].bufsz = ${hex(bytes.length)}`,
    `segment[${index}].mem   = ${hex(address)}`,
    `segment[${index}].memsz = ${hex(memsz)}`,
  ]);
  const path = fresh('kexec.log');
  writeFileSync(path, ['kexec_load: entry = 0x2000000 flags = 0x150001', `nr_segments = ${sorted.length}`, ...lines, ''].join('\n'));
  return path;
}

const ALL = ['ppc64', 'ppc64le', 'x86_64', 'aarch64', 'riscv64', 'loongarch64'] as const;
const ARCHITECTURES = EVERY_WAY ? ALL : ALL.slice(1, 4);

describe.each(ARCHITECTURES)('%s: two images in one memory file', (architecture) => {
  const [old, current] = [0x1800000n, 0x2800000n].map((crashKernelAt) => build(partsOf(architecture, { crashKernelAt }))) as [Built, Built];
  const { little, linear } = old.parts.facts;
  const addressOf = ({ parts }: Built): bigint => parts.places.get('elfcorehdr')?.address ?? 0n;
  const rangeOf = ({ parts }: Built): string => {
    const { start, end } = parts.crashKernel;
    return `0x${start.toString(16)}-0x${(end - 1n).toString(16)}`;
  };
  const made = (): BuiltFile => ramFile(fresh(`${architecture}.ram`), [current, old]);

  test('refused, both listed', () => {
    const file = made();
    const before = readFileSync(file.path);
    for (const command of [
      ['inspect'],
      ['check'],
      ['plan', '--add-memory', '0x4000000000+1G'],
      ['apply', '--add-memory', '0x4000000000+1G'],
    ]) {
      const [name = '', ...more] = command;
      const result = run([name, file.path, ...file.options, ...more]);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*2 kdump images found[^\n]*--crash-kernel or --kexec-log\n$/);
      expect(result.stderr).toContain(rangeOf(old));
      expect(result.stderr).toContain(rangeOf(current));
    }
    expect(readFileSync(file.path).equals(before)).toBe(true);
  });

  test.each([
    ['--crash-kernel', (built: Built) => ['--crash-kernel', rangeOf(built)]],
    ['--kexec-log', (built: Built) => ['--kexec-log', kexecLog(built)]],
  ] as const)('%s selects', (_, optionsFor) => {
    const file = made();
    for (const built of [old, current])
      expect(elfcorehdrIn(inspected(file.path, [...file.options, ...optionsFor(built)]))).toBe(addressOf(built));

    // The patch goes into the one that was selected, and nowhere else.
    const options = [...file.options, ...optionsFor(current)];
    expect(planOf(run(['apply', file.path, ...options, '--add-memory', '0x4000000000+1G', '--json'])).digest).toBe('rewritten');
    const wanted = [...current.parts.programHeaders, load(0x4000000000n, 0x40000000n, linear)];
    expect(programHeadersOf(file.read('elfcorehdr'), little).map(shown)).toEqual(wanted.map(shown));
    expect(file.digests().stored).toBe(file.digests().computed);
    const other = new BuiltFile(old, file.path, [{ address: old.parts.facts.base, size: 0x4000000n, offset: 0 }], []);
    for (const { role, bytes } of old.segments) expect(other.read(role).subarray(0, bytes.length).equals(bytes), role).toBe(true);
  });
});

describe('an old load in the same crashkernel range', () => {
  const current = build(partsOf('ppc64le'));
  const moved = partsOf('ppc64le');
  // The newer load took other places; of the old one the FDT and the elfcorehdr are still there.
  for (const place of moved.places.values()) place.address += 0x800000n;
  const old = build(movedTo(moved));

  function movedTo(parts: typeof moved): typeof moved {
    const at = (role: 'elfcorehdr' | 'backup' | 'initrd'): bigint => parts.places.get(role)?.address ?? 0n;
    parts.chosen = [
      prop('bootargs', `elfcorehdr=${at('elfcorehdr') / 1024n}K`),
      prop('linux,initrd-start', cells(0, Number(at('initrd')))),
      prop('linux,initrd-end', cells(0, Number(at('initrd')) + 0x9000)),
    ];
    parts.reservations = [
      [0x10000n, parts.crashKernel.start - 0x10000n],
      [at('backup'), 0x10000n],
      [at('elfcorehdr'), 0x10000n],
    ];
    parts.programHeaders = parts.programHeaders.map((each) =>
      each.type === 1 && each.paddr === 0n ? { ...each, offset: at('backup') } : each,
    );
    return parts;
  }

  test('refused, both listed by their places; only the log selects', () => {
    const file = ramFile(fresh('same-range.ram'), [current, old]);
    const fdts = [current, old].map(({ parts }) => `device tree at 0x${(parts.places.get('fdt')?.address ?? 0n).toString(16)}`);
    for (const options of [[], ['--crash-kernel', '0x2000000-0x2ffffff']]) {
      const result = run(['inspect', file.path, ...options]);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      for (const fdt of fdts) expect(result.stderr).toContain(fdt);
    }
    for (const built of [current, old]) {
      expect(elfcorehdrIn(inspected(file.path, ['--kexec-log', kexecLog(built)]))).toBe(built.parts.places.get('elfcorehdr')?.address);
    }
  });

  test('an old FDT whose elfcorehdr was overwritten does not count', () => {
    const file = ramFile(fresh('overwritten.ram'), [current, old]);
    const stale = new BuiltFile(old, file.path, [{ address: 0n, size: 0x4000000n, offset: 0 }], []);
    stale.write('elfcorehdr', Buffer.alloc(0x1000, 0x55));
    expect(elfcorehdrIn(inspected(file.path, []))).toBe(current.parts.places.get('elfcorehdr')?.address);
  });
});

describe.each(ARCHITECTURES)('%s: what only looks like a part of an image', (architecture: ArchitectureName) => {
  const parts = partsOf(architecture);
  const built = build(parts);
  const { base } = parts.facts;
  const inside = parts.crashKernel.start + 0xc00000n;
  const outside = base + 0x1600000n;

  /** A boot device tree, a FIT image, a core file in the page cache, a copy of the elfcorehdr, ELF files of other kinds. */
  function decoys(): [bigint, Uint8Array][] {
    const boot = { ...parts, chosen: [prop('bootargs', 'root=/dev/vda')], reservations: [] as [bigint, bigint][] };
    const fit = buildFdt([node('images', node('kernel')), node('chosen', ...parts.chosen), node('cpus')]);
    const core = elfcorehdrBytes(parts).subarray(0, 0x1000);
    const otherMachine = Buffer.from(core);
    otherMachine.writeUInt16LE(40, 18);
    const truncated = Buffer.from(core.subarray(0, 0x1000));
    truncated.fill(0xff, 56, 58);
    const executable = Buffer.from(core);
    executable.writeUInt16LE(2, 16);
    const magicOnly = Buffer.from('d00dfeed', 'hex');
    const all = [fdtBytes(boot), fit, core, otherMachine, truncated, executable, magicOnly];
    const places = all.flatMap((bytes, index): [bigint, Uint8Array][] => [[outside + BigInt(index) * 0x10000n, bytes]]);
    // In the crashkernel range itself: what a loaded image may leave in its gaps, but no second elfcorehdr.
    return [
      ...places,
      ...[fdtBytes(boot), fit, otherMachine, magicOnly].map((bytes, index): [bigint, Uint8Array] => [
        inside + BigInt(index) * 0x10000n,
        bytes,
      ]),
    ];
  }

  test('does not disturb', () => {
    const file = ramFile(fresh('decoys.ram'), [built]);
    const clean = inspected(file.path, file.options);
    const descriptor = openSync(file.path, 'r+');
    for (const [address, bytes] of decoys()) writeSync(descriptor, bytes, 0, bytes.length, Number(address - base));
    closeSync(descriptor);
    expect(inspected(file.path, file.options)).toEqual(clean);
    const checked = run(['check', file.path, ...file.options, '--json']);
    expect(checked).toMatchObject({ status: 0, stderr: '' });
    expect(planOf(run(['apply', file.path, ...file.options, '--add-memory', '0x4000000000+1G', '--json'])).applied).toBe(true);
    for (const [address, bytes] of decoys()) {
      expect(
        readFileSync(file.path)
          .subarray(Number(address - base))
          .subarray(0, bytes.length)
          .equals(bytes),
      ).toBe(true);
    }
  });

  test('alone is no image: each is named with the reason', () => {
    const file = ramFile(fresh('alone.ram'), [{ parts, segments: [] }]);
    const descriptor = openSync(file.path, 'r+');
    for (const [address, bytes] of decoys()) writeSync(descriptor, bytes, 0, bytes.length, Number(address - base));
    closeSync(descriptor);
    const result = run(['inspect', file.path, ...file.options]);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*no kdump image found[^\n]*FIT image[^\n]*\n$/);
  });
});
