import { describe, expect, test } from 'vitest';
import { checkedSegments, type SegmentName } from '../../src/kexec/segment.js';
import { thrown } from '../helpers/thrown.js';

const segment = (address: bigint, memsz: bigint, name?: SegmentName): { address: bigint; memsz: bigint; name?: SegmentName } =>
  name === undefined ? { address, memsz } : { address, memsz, name };

describe('segments', () => {
  test('come by ascending address; those that touch do not overlap', () => {
    const [first, second] = [segment(0x1000n, 0x1000n, 'kernel'), segment(0x2000n, 0x1000n, 'initrd')];
    expect(checkedSegments([second, first])).toEqual([first, second]);
  });

  test('several may be called other, or have no name', () => {
    expect(checkedSegments([segment(0x1000n, 1n, 'other'), segment(0x2000n, 1n, 'other')])).toHaveLength(2);
    expect(checkedSegments([segment(0x1000n, 1n), segment(0x2000n, 1n)])).toHaveLength(2);
  });

  test.each([
    ['with names', segment(0x1000n, 0x1001n, 'kernel'), segment(0x2000n, 1n, 'fdt'), 'kernel', '0x1000-0x2000 and 0x2000-0x2000 (fdt)'],
    ['without', segment(0x1000n, 0x1001n), segment(0x2000n, 1n), 'segment table', '0x1000-0x2000 and 0x2000-0x2000'],
  ])('that overlap are damage: %s', (_, first, second, place, found) => {
    expect(thrown(() => checkedSegments([second, first]))).toMatchObject({
      kind: 'input',
      problem: 'two segments overlap',
      details: { segment: place, found },
    });
  });

  test.each<[SegmentName | undefined, bigint]>([
    ['elfcorehdr', 64n << 20n],
    ['fdt', 64n << 20n],
    ['kernel', 1n << 40n],
    [undefined, 1n << 40n],
  ])('%s is at most so large', (name, most) => {
    expect(checkedSegments([segment(0n, most, name)])).toHaveLength(1);
    expect(thrown(() => checkedSegments([segment(0n, most + 1n, name)]))).toMatchObject({
      kind: 'input',
      problem: 'the segment is larger than any can be',
      details: { segment: name ?? 'segment table', expected: `at most 0x${most.toString(16)}` },
    });
  });

  test('two of one name are damage', () => {
    expect(thrown(() => checkedSegments([segment(0n, 1n, 'fdt'), segment(2n, 1n, 'kernel'), segment(4n, 1n, 'fdt')]))).toMatchObject({
      kind: 'input',
      problem: 'two segments are named fdt',
    });
  });
});
