import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { ppc64Cpus } from '../../src/arch/ppc64-cpu.js';
import { parseElfcorehdr } from '../../src/elf/elfcorehdr.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { crashMemoryOf } from '../../src/description/crash-memory.js';
import { kdumpFdtFacts } from '../../src/image/chosen.js';
import { parseManifest } from '../../src/image/pack/manifest.js';
import { openImage, type OpenImageOptions } from '../../src/image/open.js';
import { buildFdt, node, prop } from '../fdt/build.js';
import { MemoryFileSystem } from '../helpers/memory-file-system.js';
import { packedSeeds } from '../fuzz/seeds.js';
import { elfcorehdrBytes, load, note } from '../helpers/elfcorehdr.js';
import { copyOf } from '../helpers/fixtures.js';
import { processorTime } from '../helpers/processor-time.js';
import { runHere as run } from '../helpers/run-here.js';
import { PROGRAM, scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';
import { ONE_LINE } from './program.js';

/*
 * What damaged inputs brought to light.
 */

const folder = scratchFolder();

function took(action: () => unknown): number {
  const started = processorTime();
  action();
  return processorTime() - started;
}

function open(contents: Uint8Array, options: OpenImageOptions = {}): ReturnType<typeof openImage> {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = contents;
  return openImage(fileSystem, 'image', options);
}

/** A small packed image, of ppc64le or (1) of x86_64, with `memsz` for a segment, in every table that tells it. */
function withMemsz(address: bigint, memsz: bigint, which = 0): Buffer {
  const bytes = Buffer.from(packedSeeds()[which]?.bytes ?? []);
  for (let index = 0; index < bytes.readUInt16LE(56); index += 1) {
    const at = 64 + 56 * index;
    if (bytes.readBigUInt64LE(at + 24) === address) bytes.writeBigUInt64LE(memsz, at + 40);
  }
  // The region table, 8-byte aligned pairs of start and length in the purgatory.
  for (let at = 0x1000; at + 16 <= bytes.length; at += 8) {
    if (bytes.readBigUInt64LE(at) === address && bytes.readBigUInt64LE(at + 8) === 0x1000n) bytes.writeBigUInt64LE(memsz, at + 8);
  }
  return bytes;
}

function fileOf(name: string, contents: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

/** The program, which is given ten seconds, files of at most 64 MiB and 512 MiB of heap. */
function caged(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('sh', ['-c', 'ulimit -f 131072; exec "$@"', 'sh', process.execPath, '--max-old-space-size=512', PROGRAM, ...args], {
    encoding: 'utf8',
    timeout: 10_000,
    killSignal: 'SIGKILL',
  });
}

describe('another error than a KdumpError', () => {
  // ranges.push(...) of drconfRanges() in src/image/chosen.ts puts every range on the stack.
  it('200,000 ranges in linux,drconf-usable-memory', () => {
    const value = Buffer.alloc(8 + 200_000 * 16);
    value.writeUInt32BE(200_000, 4);
    for (let index = 0; index < 200_000; index += 1) {
      value.writeUInt32BE(index * 16, 8 + index * 16 + 4);
      value.writeUInt32BE(1, 8 + index * 16 + 12);
    }
    const fdt = parseFdt(
      buildFdt(
        [
          prop('#address-cells', [2]),
          prop('#size-cells', [2]),
          node('chosen', prop('linux,elfcorehdr', [0, 0x22000, 0, 0x1000])),
          node('ibm,dynamic-reconfiguration-memory', prop('linux,drconf-usable-memory', value)),
        ],
        { reservations: [[0x10000n, 0x10000n]] },
      ),
    );
    expect(kdumpFdtFacts(fdt).elfcorehdr?.address).toBe(0x22000n);
  });

  // encodeU32(...cells) of src/arch/ppc64-cpu.ts likewise.
  it.each(['ibm,associativity', 'ibm,ppc-interrupt-gserver#s'])('300,000 cells in %s of the pattern of a new CPU', (name) => {
    const fdt = parseFdt(buildFdt([node('cpus', node('cpu@8'))]));
    const [cpus, cpu] = [fdt.node('/cpus'), fdt.node('/cpus/cpu@8')];
    if (cpus === undefined || cpu === undefined) throw new Error('no node');
    const value = Buffer.alloc(4 * 300_000, Buffer.of(0, 0, 0, 8));
    expect(ppc64Cpus.derive({ name, value }, { node: cpu, id: 8, threads: [8] }, 16, cpus)?.value).toHaveLength(value.length);
  });

  // The regular expression for "hex" in src/image/pack/manifest.ts runs out of stack.
  it('1,000,000 bytes of "hex" in a manifest', () => {
    const segment = { name: 'kernel', address: 1, memsz: '16M', hex: '00 '.repeat(1_000_000) };
    expect(parseManifest(JSON.stringify({ architecture: 'ppc64le', segments: [segment] })).segments).toHaveLength(1);
  });
});

describe('a stranger’s text in a message as it is', () => {
  // notPacked() in src/container/packed.ts quotes the name of a section.
  it('escapes and a newline in the name of a section', () => {
    const path = copyOf('tiny-ppc64', folder);
    const file = readFileSync(path);
    file.write('.kexec\x1b[31m\n', file.indexOf('.kexec.kernel'), 'latin1');
    writeFileSync(path, file);
    const { status, stderr } = run(['inspect', path]);
    expect(status).toBe(3);
    expect(stderr).toMatch(ONE_LINE);
  });

  // architectureNamed() in src/arch/registry.ts quotes the name.
  it('escapes in the architecture of a manifest', () => {
    const error = thrown(() => parseManifest('{"architecture":"\\u001b[31mppc64","segments":[]}'));
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });

  // Commander's messages go through src/cli/program.ts as they are.
  it('escapes in an unknown option', () => {
    expect(run(['inspect', 'x', '--a\x1b[31mb']).stderr).toMatch(ONE_LINE);
  });

  it('the suggestion for a mistyped option is on a line of its own', () => {
    expect(run(['inspect', 'x', '--jsno']).stderr).toMatch(ONE_LINE);
  });
});

describe('time and memory out of proportion', () => {
  // `rest.filter((each) => !loads.includes(each))` of src/description/crash-memory.ts compares each with each.
  it('65,533 PT_LOADs', () => {
    const headers = Array.from({ length: 65_533 }, (_, index) => load(BigInt(index) * 0x2000n, BigInt(index) * 0x2000n + 0x1000n));
    const contents = parseElfcorehdr(elfcorehdrBytes([note(1n), ...headers]));
    const image = { architecture: architectureNamed('x86_64'), crashKernelRanges: [], elfcorehdr: { contents } };
    expect(took(() => crashMemoryOf(image))).toBeLessThan(800);
  });

  // regionDigests() hashes the zeros of a segment that claims far more memory than any machine has.
  it('a digest that covers 2^60 bytes that are not in the file', () => {
    const path = fileOf('huge-kernel', withMemsz(0x24000n, 1n << 60n, 1));
    expect(caged(['inspect', path, '--verify']).status).not.toBeNull();
  });

  // segmentSources() takes the elfcorehdr and the FDT at their full memsz.
  it.each([['extract'], ['capture']])('%s of an FDT that claims 2^40 bytes does not fill the disk', (command) => {
    const path = fileOf(`huge-fdt-${command}`, withMemsz(0x25000n, 1n << 40n));
    const output = join(folder, `out-${command}`);
    const { status, stderr } = caged([command, path, ...(command === 'extract' ? ['-d', output, 'fdt'] : ['-o', output])]);
    expect([3, 4]).toContain(status);
    expect(stderr).toMatch(ONE_LINE);
  });

  // planFdt() reads up to 64 MiB of a segment that has 4 KiB, three times over; found as packed image 53,993 of seed 77.
  test('an FDT that claims 2^61 bytes is refused before anything of that size is read', () => {
    expect(thrown(() => open(withMemsz(0x25000n, 1n << 61n)))).toMatchObject({ kind: 'input', details: { segment: 'fdt' } });
  });

  // Every page may claim an FDT of all that follows, each of which is copied and parsed.
  it('4 MiB of device trees, one on each page', () => {
    const memory = new Uint8Array(4 << 20);
    const blob = buildFdt([prop('a', 'b')]);
    for (let at = 0; at < memory.length; at += 4096) {
      memory.set(blob, at);
      new DataView(memory.buffer, at).setUint32(4, memory.length - at);
    }
    expect(took(() => thrown(() => open(memory, { format: 'raw' })))).toBeLessThan(1000);
  });

  // Likewise an elfcorehdr of all that follows, up to 3.5 MiB each.
  it('2 MiB of elfcorehdrs, one on each page', () => {
    const memory = new Uint8Array(2 << 20);
    const header = elfcorehdrBytes([note(1n)]);
    for (let at = 0; at < memory.length; at += 4096) {
      memory.set(header, at);
      const view = new DataView(memory.buffer, at);
      view.setUint16(18, 62, true);
      view.setUint16(56, Math.min(60_000, Math.floor((memory.length - at - 64) / 56)), true);
    }
    expect(took(() => thrown(() => open(memory, { format: 'raw' })))).toBeLessThan(1000);
  });

  // chunks() of src/memory-source/file-memory.ts makes a buffer of 1 MiB for each piece of memory, however small.
  it('a memory dump of 10,000 pieces', () => {
    const count = 10_000;
    const dump = Buffer.from(
      elfcorehdrBytes(
        Array.from({ length: count }, (_, index) => ({ ...load(BigInt(index) * 0x1000n, BigInt(index) * 0x1000n + 64n), offset: 0n })),
      ),
    );
    expect(took(() => thrown(() => open(dump)))).toBeLessThan(1000);
  });
});

test('a damaged image that the program refused is as it was', () => {
  const path = fileOf('unchanged', withMemsz(0x25000n, 1n << 40n));
  const before = statSync(path, { bigint: true }).mtimeNs;
  expect(run(['plan', path, '--add-memory', '0x80000000+256M']).status).toBe(3);
  expect(statSync(path, { bigint: true }).mtimeNs).toBe(before);
});
