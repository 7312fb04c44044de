import { describe, expect, test } from 'vitest';
import type { KdumpImage } from '../../src/image/image.js';
import type { Change } from '../../src/machine/change.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { isNothingToDo, planHotplug, type Plan, type PlanOptions } from '../../src/plan/plan.js';
import { build, partsOf, type Parts } from '../helpers/build-image.js';
import { imageOpener } from '../helpers/open-built.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const open = imageOpener(scratchFolder());
const MIB = 1n << 20n;
const addMemory = (gib: number): Change => ({ action: 'add', memory: rangeOfSize(BigInt(gib) << 30n, MIB) });
const addCpu = (id: number): Change => ({ action: 'add', cpu: { id } });

/** A ppc64le image with room for `programHeaders` in its elfcorehdr, which has 6. */
function imageWith(programHeaders: number, change: (parts: Parts) => void = () => undefined): KdumpImage {
  const parts = partsOf('ppc64le', { hotplug: true });
  const place = parts.places.get('elfcorehdr') ?? expect.fail('no elfcorehdr');
  place.memsz = BigInt(64 + 56 * programHeaders);
  change(parts);
  return open.packed(build(parts));
}

const made = ({ changes }: Plan): boolean[] => changes.map(({ effect }) => effect.made);

describe('the effects of changes', () => {
  const image = imageWith(100);

  test('come in the order of the changes, memory and CPUs mixed', () => {
    const plan = planHotplug(image, [addCpu(2), addMemory(4), addCpu(0), addMemory(4), addCpu(3)]);
    expect(made(plan)).toEqual([true, true, false, false, true]);
    expect(plan.changes.map(({ change }) => ('cpu' in change ? change.cpu.id : 'memory'))).toEqual([2, 'memory', 0, 'memory', 3]);
  });

  test('of a CPU without an FDT are those of its note', () => {
    const plan = planHotplug(open.packed(build(partsOf('x86_64'))), [addCpu(1)]);
    expect(plan.changes[0]?.effect).toEqual({ made: false, reason: 'its PT_NOTE is listed already' });
    expect(plan.segments.map(({ name }) => name)).toEqual(['elfcorehdr']);
  });

  test('of a note that is made, whatever becomes of the node', () => {
    const parts = partsOf('riscv64');
    const plan = planHotplug(open.packed(build(parts)), [
      { action: 'add', cpu: { id: 1, crashNotes: { address: 0x80900000n, size: 0x170n } } },
    ]);
    expect(plan.changes[0]?.effect).toEqual({ made: true, reason: '' });
  });

  test('of nothing: nothing to do', () => {
    expect(isNothingToDo(planHotplug(image, []))).toBe(true);
    expect(isNothingToDo(planHotplug(image, [addMemory(4)]))).toBe(false);
    expect(isNothingToDo(planHotplug(image, [addCpu(1)]))).toBe(true);
  });

  test('writing nothing: the image is as it was', () => {
    const plan = planHotplug(image, [addMemory(4)]);
    for (const { address, before } of plan.segments) expect(Buffer.compare(image.memory.read(address, before.length), before)).toBe(0);
  });
});

describe('the room in the elfcorehdr', () => {
  const plan = (image: KdumpImage, count: number, options: PlanOptions = {}): Plan =>
    planHotplug(
      image,
      Array.from({ length: count }, (_, index) => addMemory(4 + 2 * index)),
      options,
    );

  test('is used to the last program header', () => {
    expect(plan(imageWith(8), 2).segments[0]?.after).toHaveLength(64 + 56 * 8);
  });

  test('is not enough for one more', () => {
    expect(thrown(() => plan(imageWith(8), 3))).toMatchObject({
      kind: 'refused',
      problem: 'the change does not fit the elfcorehdr',
      details: {
        segment: 'elfcorehdr',
        found: '9 program headers, which take 568 bytes',
        expected: 'at most 512 bytes (memsz), 8 program headers',
      },
    });
  });

  test('has to be one program header more, in whole pages, for Linux', () => {
    // 64 + 56 * 72 = 4096: Linux counts the 73rd.
    const page = imageWith(72);
    expect(plan(page, 65, { compat: 'linux' }).segments[0]?.after).toHaveLength(0x1000);
    expect(thrown(() => plan(page, 66, { compat: 'linux' }))).toMatchObject({
      details: { found: '72 program headers, which take 8192 bytes', expected: 'at most 4096 bytes (memsz), 72 program headers' },
    });
    expect(plan(page, 66).segments[0]?.after).toHaveLength(0x1000);
    // Where nothing changes, nothing has to fit.
    const full = imageWith(6);
    expect(isNothingToDo(planHotplug(full, [addCpu(1)], { compat: 'linux' }))).toBe(true);
  });

  test('that a table leaves is zeroed', () => {
    const image = imageWith(10);
    const shrunk = planHotplug(image, [{ action: 'remove', memory: rangeOfSize(0x3000000n, 16n * MIB) }]);
    const { before, after } = shrunk.segments[0] ?? expect.fail('no elfcorehdr');
    expect(new DataView(after.buffer, after.byteOffset).getUint16(56, true)).toBe(5);
    expect(before.subarray(64 + 56 * 5, 64 + 56 * 6).some((byte) => byte !== 0)).toBe(true);
    expect(after.subarray(64 + 56 * 5).every((byte) => byte === 0)).toBe(true);
  });

  test('beyond what e_phnum can count is not read', () => {
    const most = 64 + 56 * 0xffff;
    const image = imageWith(6, ({ places, reservations }) => {
      const place = places.get('elfcorehdr') ?? expect.fail('none');
      place.address = 0x2400000n;
      place.memsz = 0x400000n;
      (reservations[2] ?? expect.fail('none')).splice(0, 2, place.address, place.memsz);
    });
    expect(plan(image, 1).segments[0]?.before).toHaveLength(most);
  });
});

test('images of s390x are not changed', () => {
  const image = open.packed(build(partsOf('s390x')));
  expect(thrown(() => planHotplug(image, [addMemory(4)]))).toMatchObject({
    kind: 'refused',
    problem: 'images of this architecture are not changed',
    details: { file: image.memory.path },
  });
});
