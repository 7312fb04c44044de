import { describe, expect, test } from 'vitest';
import { readCmaRanges } from '../../src/machine/cma-ranges.js';
import { thrown } from '../helpers/thrown.js';

const PATH = '/sys/kernel/kexec/crash_cma_ranges';
const read = (text: string): ReturnType<typeof readCmaRanges> => readCmaRanges({ list: () => [], readFile: () => Buffer.from(text) }, PATH);

describe('CMA ranges of a crashkernel', () => {
  test('have an END inclusive; none is an empty file; what tar pads is left away', () => {
    expect(read('100000000-10c7fffff\n')).toEqual([{ start: 0x1_0000_0000n, end: 0x1_0c80_0000n }]);
    expect(read('')).toEqual([]);
    expect(read(`04000000-04ffffff\n08000000-08ffffff\n${'\0'.repeat(4000)}`)).toHaveLength(2);
  });

  test.each([
    ['nonsense', '"nonsense"'],
    ['04ffffff-04000000', '"04ffffff-04000000"'],
    ['0x4000000-0x4ffffff', '"0x4000000-0x4ffffff"'],
    ['04000000-04ffffff : Crash kernel', '"04000000-04ffffff : Crash kernel"'],
    [Array.from({ length: 5 }, (_, i) => `${i}000-${i}fff`).join('\n'), '5 lines'],
  ])('%j is refused with the path', (text, found) => {
    expect(thrown(() => read(text))).toMatchObject({ kind: 'input', details: { file: PATH, found } });
  });
});
