import { describe, expect, test } from 'vitest';
import { architectureNamed, architectureOf, architectures } from '../../src/arch/registry.js';
import { thrown } from '../helpers/thrown.js';

describe('architectures', () => {
  test.each([
    ['ppc64le', 21, 'lsb'],
    ['ppc64', 21, 'msb'],
    ['x86_64', 62, 'lsb'],
    ['aarch64', 183, 'lsb'],
    ['riscv64', 243, 'lsb'],
    ['loongarch64', 258, 'lsb'],
    ['s390x', 22, 'msb'],
  ] as const)('%s is e_machine %i, %s first', (name, machine, byteOrder) => {
    expect(architectureOf(machine, byteOrder)).toBe(architectureNamed(name));
    expect(architectureNamed(name)).toMatchObject({ name, machine, byteOrder });
  });

  test('there are no others, and each has its page sizes from the largest on', () => {
    expect(architectures).toHaveLength(7);
    for (const { pageSizes } of architectures) {
      expect(pageSizes.length).toBeGreaterThan(0);
      expect([...pageSizes].sort((a, b) => (a > b ? -1 : 1))).toEqual(pageSizes);
      for (const size of pageSizes) expect(size & (size - 1n)).toBe(0n);
    }
  });

  test('an unknown machine, and one in the wrong byte order, are damaged input', () => {
    expect(thrown(() => architectureOf(40, 'lsb'))).toMatchObject({ kind: 'input', details: { found: '40' } });
    expect(thrown(() => architectureOf(62, 'msb'))).toMatchObject({ kind: 'input', details: { found: 'msb', expected: 'lsb' } });
    expect(thrown(() => architectureNamed('ppc'))).toMatchObject({ kind: 'usage', details: { found: 'ppc' } });
  });
});
