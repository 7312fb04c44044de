import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Capture, type ImageFile, type Step } from '../helpers/capture-image.js';
import { EVERY_WAY } from '../helpers/every-way.js';
import { runHere as run } from '../helpers/run-here.js';
import { has, scratchFolder, type RunResult } from '../helpers/run.js';

// What the kernel's own handler made of each event is what this program has to make of it, from the state before and the event alone.

const folder = scratchFolder();
const hasDtc = has('dtc');
const hasTar = has('tar');

interface PlanJson {
  applied: boolean;
  changes: { made: boolean }[];
  segments: { name: string; changed: boolean; bytesChanged: number; sha256Before: string; sha256After: string }[];
  digest: string;
  derived: { node: string; property: string; how: string }[];
  findings: { code: string; message: string }[];
}

/** A way to give one image to the program. */
interface Input {
  readonly image: ImageFile;
  readonly options: readonly string[];
  readonly baseline: ReadonlyMap<string, string>;
}

const WAYS = ['RAM file', 'RAM file and kexec log', 'packed image'] as const;
/** Searching and comparing the RAM file takes most of the time. */
const waysOf = (guest: string): readonly string[] =>
  EVERY_WAY ? WAYS : guest === 'ppc64le-6.12-64k' ? ['RAM file and kexec log'] : ['packed image'];
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The header and program headers, by the count in the bytes themselves. */
function headers(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, 64 + 56 * Buffer.from(bytes).readUInt16LE(56));
}

function optionsFor({ changes }: Step): string[] {
  return changes.flatMap((change) =>
    'memory' in change
      ? [`--${change.action}-memory`, `${change.memory.start}+${change.memory.size}`]
      : [`--${change.action}-cpu`, String(change.cpu.id)],
  );
}

/** The time of the last write to the file, and what a write would change. */
function stateOf(image: ImageFile): unknown[] {
  return [statSync(image.path, { bigint: true }).mtimeNs, sha256(image.read('elfcorehdr')), sha256(image.read('fdt'))];
}

function planOf(result: RunResult): PlanJson {
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(result.stdout) as PlanJson;
}

describe.each(['ppc64le-6.12-64k', 'ppc64le-6.12-4k'] as const)('%s', (guest) => {
  const capture = new Capture(guest);
  const inputs = new Map<string, Input>();
  const before = new Map(capture.steps.map((step, index) => [step.name, capture.steps[index - 1]?.name ?? '']));
  const stepsWith = (kind: 'memory' | 'cpu', action: string): Step[] =>
    capture.steps.filter(({ changes }) => changes.some((change) => kind in change && change.action === action));
  const [adds, removals] = [stepsWith('memory', 'add'), stepsWith('memory', 'remove')];

  beforeAll(() => {
    const ram = capture.ramFile(folder);
    const baseline = ram.fingerprint();
    inputs.set('RAM file', { image: ram, options: ram.options, baseline });
    inputs.set('RAM file and kexec log', { image: ram, options: [...ram.options, '--kexec-log', capture.kexecLog], baseline });
    const packed = capture.packedImage(folder);
    inputs.set('packed image', { image: packed, options: [], baseline: packed.fingerprint() });
  });

  const inputOf = (way: string): Input => inputs.get(way) as Input;

  /** Everything in the file but the segments `changed` is as it was: the other segments, the decoys, the headers, and every hole. */
  function expectOthersUntouched({ image, baseline }: Input, step: string, changed: readonly string[]): void {
    const now = image.fingerprint();
    expect([...now.keys()]).toEqual([...baseline.keys()]);
    for (const [piece, hash] of now) {
      if (changed.includes(piece)) continue;
      const was = piece === 'elfcorehdr' || piece === 'fdt' ? sha256(capture.captured(piece, step)) : baseline.get(piece);
      expect(hash, piece).toBe(was);
    }
  }

  /** Applies the step to the state before it, and looks at everything but the bytes of the changed segment. */
  function applyStep(way: string, step: Step, more: readonly string[], changed: readonly string[]): { input: Input; plan: PlanJson } {
    const input = inputOf(way);
    const start = before.get(step.name) ?? '';
    input.image.setStep(start);
    const plan = planOf(run(['apply', input.image.path, ...input.options, ...optionsFor(step), ...more, '--json']));
    expect(plan.segments.filter((segment) => segment.changed).map(({ name }) => name)).toEqual(changed);
    expect(plan.applied).toBe(changed.length > 0);
    expect(plan.digest).toBe('unaffected');
    for (const { name, sha256After } of plan.segments) expect(sha256(input.image.read(name)), name).toBe(sha256After);
    expectOthersUntouched(input, start, changed);
    return { input, plan };
  }

  function expectSecondRunWritesNothing({ image, options }: Input, step: Step, more: readonly string[]): void {
    const now = stateOf(image);
    const again = run(['apply', image.path, ...options, ...optionsFor(step), ...more]);
    expect(again).toMatchObject({ status: 0, stderr: '' });
    expect(again.stdout).toContain('nothing to do');
    expect(stateOf(image)).toEqual(now);
  }

  test('the captures have the steps that the tests below are about', () => {
    expect(adds.map(({ name }) => name.slice(0, 2))).toEqual(['02', '03', '07']);
    expect(removals.map(({ name }) => name.slice(0, 2))).toEqual(['06', '08']);
  });

  describe.each(waysOf(guest))('%s', (way) => {
    describe.each([
      ['default', []],
      ['--compat linux', ['--compat', 'linux']],
    ] as const)('%s', (_, mode) => {
      test.each(adds)('$name: the elfcorehdr is the kernel’s', (step) => {
        const { input } = applyStep(way, step, mode, ['elfcorehdr']);
        const wanted = capture.captured('elfcorehdr', step.name);
        expect(headers(input.image.read('elfcorehdr'))).toEqual(headers(wanted));
        expectSecondRunWritesNothing(input, step, mode);
      });
    });

    test.each(removals)('$name --compat linux: the elfcorehdr is the kernel’s', (step) => {
      const { input } = applyStep(way, step, ['--compat', 'linux'], ['elfcorehdr']);
      const wanted = capture.captured('elfcorehdr', step.name);
      expect(headers(input.image.read('elfcorehdr'))).toEqual(headers(wanted));

      const now = stateOf(input.image);
      const again = run(['apply', input.image.path, ...input.options, ...optionsFor(step), '--compat', 'linux']);
      expect(again).toMatchObject({ status: 4, stdout: '' });
      expect(stateOf(input.image)).toEqual(now);
    });

    test.each(removals)('$name: the right half is a byte shorter than the kernel’s, and in its place', (step) => {
      const { input } = applyStep(way, step, [], ['elfcorehdr']);
      const [ours, kernels] = [input.image.read('elfcorehdr'), capture.captured('elfcorehdr', step.name)].map(programHeaders) as [
        ProgramHeader[],
        ProgramHeader[],
      ];
      // The kernel appends the right half, one byte too long, behind the firmware's range.
      const tooLong = kernels.at(-1) as ProgramHeader;
      expect(tooLong.memsz & 0xfffn).toBe(1n);
      const right = { ...tooLong, memsz: tooLong.memsz - 1n, filesz: tooLong.filesz - 1n };
      expect(ours.map(shown).sort()).toEqual([...kernels.slice(0, -1), right].map(shown).sort());
      const loads = ours.filter(({ type, offset, paddr }) => type === 1 && offset === paddr).map(({ paddr }) => paddr);
      expect(loads).toEqual([...loads].sort((a, b) => (a < b ? -1 : 1)));
    });
  });

  describe.skipIf(!hasDtc || !hasTar)('CPUs', () => {
    const [cpuAdds, cpuRemovals] = [stepsWith('cpu', 'add'), stepsWith('cpu', 'remove')];
    const changing = cpuAdds.filter(({ kernelChanged }) => kernelChanged.includes('fdt'));
    const unchanging = [...cpuAdds, ...cpuRemovals].filter(({ kernelChanged }) => kernelChanged.length === 0);

    test('the captures have the steps that the tests below are about', () => {
      expect(changing.map(({ name }) => name.slice(0, 2))).toEqual(['01', '10']);
      expect(unchanging.map(({ name }) => name.slice(0, 2)).sort()).toEqual(['04', '05', '09']);
    });

    const deviceTree = (step: Step): string => unpackedTree(capture, step);

    describe.each(waysOf(guest))('%s', (way) => {
      test.each(changing)('$name with the live tree: the FDT is the kernel’s, but for order and name', (step) => {
        const more = ['--device-tree', deviceTree(step)];
        const { input } = applyStep(way, step, more, ['fdt']);
        const [ours, kernels] = [input.image.read('fdt'), capture.captured('fdt', step.name)].map(source);
        expect(ours).toBe(kernels);
        expectSecondRunWritesNothing(input, step, more);
      });

      test.each(changing)('$name without a live tree: the new node is the kernel’s, but for what nothing tells', (step) => {
        const { input, plan } = applyStep(way, step, [], ['fdt']);
        const [change] = step.changes;
        const node = `PowerPC,POWER9@${change !== undefined && 'cpu' in change ? change.cpu.id : ''}`;
        const [ours, kernels] = [input.image.read('fdt'), capture.captured('fdt', step.name)].map((bytes) =>
          properties(source(bytes), node),
        ) as [Map<string, string>, Map<string, string>];
        expect(ours.get('reg')).toMatch(/^<0x0[25]>$/);
        expect([...new Set([...ours.keys(), ...kernels.keys()])].filter((name) => ours.get(name) !== kernels.get(name)).sort()).toEqual(
          GUESSED[step.name.slice(0, 2)],
        );
        expect(plan.derived.filter((each) => each.node === node).map(({ property }) => property)).toEqual(
          expect.arrayContaining([
            'unit address',
            'reg',
            'ibm,ppc-interrupt-server#s',
            'ibm,ppc-interrupt-gserver#s',
            'ibm,my-drc-index',
            // Of a boot CPU's node the phandle is left out; that of a hot-added one has none.
            ...(step.name.startsWith('01') ? ['phandle'] : []),
          ]),
        );
        expectSecondRunWritesNothing(input, step, []);
      });

      test.each(unchanging)('$name: nothing to do, as for the kernel', (step) => {
        const input = inputOf(way);
        input.image.setStep(before.get(step.name) ?? '');
        const more = step.changes.some(({ action }) => action === 'add') ? ['--device-tree', deviceTree(step)] : [];
        expectSecondRunWritesNothing(input, step, more);
        expectOthersUntouched(input, step.name, []);
      });
    });
  });
});

/**
 * What differs between a cloned node and what firmware gives a new CPU. In step 01 the pattern is a boot CPU, whose node has a marker of the
 * boot firmware and the size of the hash page table; in step 10 it is another hot-added CPU.
 */
const GUESSED: Record<string, string[]> = { '01': ['ibm,pft-size', 'slof,from-fdt'], '10': [] };

describe('ppc64le-6.12-64k-numa2', () => {
  // Two nodes: 0x40000000-0x7fffffff is of node 0 and touches 0x80000000-0xbfffffff of node 1. DIMMs of both nodes are plugged in behind.
  const capture = new Capture('ppc64le-6.12-64k-numa2');
  const before = new Map(capture.steps.map((step, index) => [step.name, capture.steps[index - 1]?.name ?? '']));
  const memory = capture.steps.filter(({ changes }) => changes.some((change) => 'memory' in change));
  let image: ImageFile;

  beforeAll(() => {
    image = capture.packedImage(folder);
  });

  const deviceTree = (step: Step): string[] => ['--device-tree', unpackedTree(capture, step)];
  const nodeInFile = (step: Step): string[] => {
    const path = join(folder, `${step.name}.json`);
    writeFileSync(
      path,
      JSON.stringify({
        changes: step.changes.map((change) => ('memory' in change ? { ...change, memory: { ...change.memory, node: step.node } } : change)),
      }),
    );
    return ['--changes', path];
  };
  const apply = (options: readonly string[]): PlanJson => planOf(run(['apply', image.path, ...options, '--json']));
  const expectTheKernels = (step: string): void => {
    expect(headers(image.read('elfcorehdr'))).toEqual(headers(capture.captured('elfcorehdr', step)));
  };

  test('the capture has the steps that the tests below are about', () => {
    expect(memory.map(({ name }) => name.slice(0, 2))).toEqual(['01', '02', '03', '05']);
    expect(memory.map(({ node }) => node)).toEqual([1, 0, 0, 1]);
  });

  describe.each([
    ['default', []],
    ['--compat linux', ['--compat', 'linux']],
  ] as const)('%s', (_, mode) => {
    test.skipIf(!hasTar).each(memory)('$name with the live tree: the elfcorehdr is the kernel’s, and nothing had to be assumed', (step) => {
      image.setStep(before.get(step.name) ?? '');
      const plan = apply([...optionsFor(step), ...deviceTree(step), ...mode]);
      expectTheKernels(step.name);
      expect(plan.findings.map(({ code }) => code)).not.toContain('node-assumed');
    });

    test('one change file with nodes after the other: the kernel’s at every step', () => {
      image.setStep('00-loaded');
      for (const step of memory) {
        apply([...nodeInFile(step), ...mode]);
        expectTheKernels(step.name);
      }
    });

    test.skipIf(!hasTar)('every step after the other, CPUs as well: the kernel’s at every step', () => {
      image.setStep('00-loaded');
      for (const step of capture.steps.slice(1)) {
        apply([...optionsFor(step), ...deviceTree(step), ...mode]);
        expectTheKernels(step.name);
      }
    });
  });

  test('without a word about its node: one with what it touches, and that is said', () => {
    const [first, second] = memory as [Step, Step];
    image.setStep('00-loaded');
    expect(apply(optionsFor(first)).findings.map(({ code }) => code)).toContain('node-assumed');
    expectTheKernels(first.name);
    const { findings } = apply(optionsFor(second));
    expect(findings).toMatchObject([{ severity: 'info', code: 'node-assumed' }]);
    expect(findings[0]?.message).toContain('0x80000000-0xdfffffff is listed as one');
  });

  test.skipIf(!hasDtc || !hasTar)('a CPU that is added: the FDT is the kernel’s, and the elfcorehdr stays', () => {
    const step = capture.steps.find(({ name }) => name.startsWith('04')) as Step;
    image.setStep(before.get(step.name) ?? '');
    const plan = apply([...optionsFor(step), ...deviceTree(step)]);
    expect(plan.segments.filter(({ changed }) => changed).map(({ name }) => name)).toEqual(['fdt']);
    expect(source(image.read('fdt'))).toBe(source(capture.captured('fdt', step.name)));
  });

  test.skipIf(!hasTar)('a CPU alone does not rebuild what kexec-tools listed', () => {
    image.setStep('00-loaded');
    const plan = apply(['--add-cpu', '3', ...deviceTree(capture.steps.find(({ name }) => name.startsWith('04')) as Step)]);
    expect(plan.segments.filter(({ changed }) => changed).map(({ name }) => name)).toEqual(['fdt']);
  });
});

describe('loaded without --hotplug', () => {
  const capture = new Capture('ppc64le-6.12-64k', 'all');
  const step = capture.steps.find(({ name }) => name.startsWith('02')) as Step;
  let inputs: ImageFile[];

  beforeAll(() => {
    inputs = [capture.ramFile(folder), capture.packedImage(folder)];
  });

  const digestOf = (image: ImageFile): string =>
    Buffer.from(image.read('purgatory').subarray(capture.digestOffset, capture.digestOffset + 32)).toString('hex');
  const verified = (image: ImageFile): unknown => {
    const result = run(['inspect', image.path, '--verify', '--json']);
    expect(result.status).toBe(0);
    return (JSON.parse(result.stdout) as { purgatory: unknown }).purgatory;
  };

  test.each([
    ['RAM file', 0],
    ['packed image', 1],
  ])('%s: the digest is rewritten to what the purgatory will compute', (_, index) => {
    const image = inputs[index] as ImageFile;
    const baseline = image.fingerprint();
    expect(verified(image)).toEqual({ digest: 'match', covers: ['kernel', 'backup', 'elfcorehdr', 'initrd', 'fdt'] });
    const digestBefore = digestOf(image);

    const plan = planOf(run(['apply', image.path, ...optionsFor(step), '--json']));
    expect(plan.digest).toBe('rewritten');
    expect(headers(image.read('elfcorehdr'))).toEqual(headers(capture.captured('elfcorehdr', step.name)));
    // Hashed here from the file, in the order of the table.
    const wanted = capture.digest((role) => image.read(role));
    expect(digestOf(image)).toBe(wanted);
    expect(wanted).not.toBe(digestBefore);
    expect(verified(image)).toMatchObject({ digest: 'match' });

    const purgatory = image.read('purgatory');
    purgatory.set(Buffer.from(digestBefore, 'hex'), capture.digestOffset);
    expect(sha256(purgatory)).toBe(sha256(capture.contents('purgatory')));
    const now = image.fingerprint();
    expect([...now].filter(([piece, hash]) => baseline.get(piece) !== hash).map(([piece]) => piece)).toEqual(['elfcorehdr', 'purgatory']);
  });

  test.each([
    ['RAM file', 0],
    ['packed image', 1],
  ])('%s: a digest that was wrong before is refused, and nothing is written', (_, index) => {
    const image = inputs[index] as ImageFile;
    image.setStep(capture.steps[0]?.name ?? '');
    image.write('purgatory', capture.contents('purgatory'));
    const kernel = image.read('kernel').slice(0x1234, 0x1235);
    image.write('kernel', Uint8Array.of((kernel[0] ?? 0) ^ 1), 0x1234);
    const baseline = image.fingerprint();
    expect(verified(image)).toMatchObject({ digest: 'mismatch' });
    const result = run(['apply', image.path, ...optionsFor(step)]);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*digest[^\n]*\n$/);
    expect(image.fingerprint()).toEqual(baseline);
  });
});

/** The live tree of a step as a directory. */
function unpackedTree(capture: Capture, { name }: Step): string {
  const path = join(folder, `${capture.guest}-${name}`);
  mkdirSync(path, { recursive: true });
  expect(spawnSync('tar', ['-xzf', capture.deviceTreeArchive(name), '-C', path]).status).toBe(0);
  return path;
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly vaddr: bigint;
  readonly paddr: bigint;
  readonly filesz: bigint;
  readonly memsz: bigint;
}

function programHeaders(bytes: Uint8Array): ProgramHeader[] {
  const buffer = Buffer.from(bytes);
  return Array.from({ length: buffer.readUInt16LE(56) }, (_, index) => {
    const at = 64 + 56 * index;
    return {
      type: buffer.readUInt32LE(at),
      flags: buffer.readUInt32LE(at + 4),
      offset: buffer.readBigUInt64LE(at + 8),
      vaddr: buffer.readBigUInt64LE(at + 16),
      paddr: buffer.readBigUInt64LE(at + 24),
      filesz: buffer.readBigUInt64LE(at + 32),
      memsz: buffer.readBigUInt64LE(at + 40),
    };
  });
}

function shown({ type, flags, offset, vaddr, paddr, filesz, memsz }: ProgramHeader): string {
  return [type, flags, ...[offset, vaddr, paddr, filesz, memsz].map((value) => value.toString(16))].join(' ');
}

/** Device tree source with nodes and properties sorted, without `name`: the kernel writes one that no source has (kdump-rules M5). */
function source(bytes: Uint8Array): string {
  const { status, stdout } = spawnSync('dtc', ['-f', '-s', '-q', '-I', 'dtb', '-O', 'dts', '-'], { input: bytes, encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout
    .split('\n')
    .filter((line) => !/^\s*name = ".*";$/.test(line))
    .join('\n');
}

/** The properties of the node `name` in device tree source. */
function properties(text: string, name: string): Map<string, string> {
  const lines = text.split('\n').map((line) => line.trim());
  const start = lines.indexOf(`${name} {`);
  expect(start, name).toBeGreaterThan(0);
  const body = lines.slice(start + 1, lines.indexOf('};', start));
  return new Map(body.map((line) => [line.replace(/( =.*)?;$/, ''), / = (.*);$/.exec(line)?.[1] ?? '']));
}
