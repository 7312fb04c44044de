import { describe, expect, test } from 'vitest';
import { copyOf, fixtureImage, section } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';
import { reservations, tightFdt } from '../helpers/tight-fdt.js';

// The capture kernel keeps clear of what the memory reservation block names, and of no more.

const folder = scratchFolder();
const ELFCOREHDR = 0x229a0000n;
const FDT = 0x3fff9000n;

const reserved = (path: string, address: bigint): bigint | undefined =>
  reservations(section(path, '.kexec.fdt').bytes).find((entry) => entry.address === address)?.size;
/** `count` ranges that touch neither each other nor what is listed. */
const ranges = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => ['--add-memory', `0x${(0x100000000 + index * 0x20000000).toString(16)}+256M`]).flat();

interface PlanJson {
  digest: string;
  segments: { name: string; changed: boolean }[];
  findings: { code: string }[];
}

describe('an elfcorehdr that outgrows its reservation of 0x400 bytes', () => {
  const apply = (path: string, ...more: string[]): PlanJson => {
    const result = run(['apply', path, ...more, '--json']);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    return JSON.parse(result.stdout) as PlanJson;
  };

  const codes = ({ findings }: PlanJson): string[] => findings.map(({ code }) => code);

  test('of 17 program headers, 64 + 17 * 56 = 0x3f8 bytes: the entry stays', () => {
    const path = copyOf('ppc64le-64k', folder);
    expect(reserved(path, ELFCOREHDR)).toBe(0x400n);
    expect(codes(apply(path, ...ranges(4)))).not.toContain('elfcorehdr-reservation-extended');
    expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16LE(56)).toBe(17);
    expect(section(path, '.kexec.fdt').bytes.equals(section(fixtureImage('ppc64le-64k'), '.kexec.fdt').bytes)).toBe(true);
  });

  test('of 18: the entry becomes memsz, and nothing else in the FDT changes', () => {
    const path = copyOf('ppc64le-64k', folder);
    expect(codes(apply(path, ...ranges(5)))).toContain('elfcorehdr-reservation-extended');
    expect(reserved(path, ELFCOREHDR)).toBe(0x80000n);
    const [before, after] = [section(fixtureImage('ppc64le-64k'), '.kexec.fdt').bytes, Buffer.from(section(path, '.kexec.fdt').bytes)];
    const entry = reservations(before).find(({ address }) => address === ELFCOREHDR);
    after.writeBigUInt64BE(0x400n, (entry?.at ?? 0) + 8);
    expect(after.equals(before)).toBe(true);
    expect(apply(path, ...ranges(5)).segments.filter(({ changed }) => changed)).toEqual([]);
  });

  test('as Linux does it, the entry stays', () => {
    const path = copyOf('ppc64le-64k', folder);
    apply(path, ...ranges(5), '--compat', 'linux');
    expect(reserved(path, ELFCOREHDR)).toBe(0x400n);
    expect(run(['inspect', path, '--json']).stdout).toContain('elfcorehdr-not-reserved');
  });

  test('where the digest covers the FDT, it is rewritten for both', () => {
    const path = copyOf('ppc64le-64k-no-hotplug', folder);
    expect(apply(path, ...ranges(5))).toMatchObject({ digest: 'rewritten' });
    expect(run(['inspect', path, '--verify', '--json']).stdout).toContain('"match"');
  });
});

test('an FDT that grows into its segment corrects its totalsize and the reservation of its own memory', () => {
  const { path, used } = tightFdt(folder, 'growing', () => 0x7000);
  expect(reserved(path, FDT)).toBe(BigInt(used));
  const result = run(['apply', path, '--add-cpu', '2', '--json']);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  expect((JSON.parse(result.stdout) as PlanJson).findings).toEqual(
    expect.arrayContaining([expect.objectContaining({ code: 'fdt-grows' })]),
  );
  const totalSize = section(path, '.kexec.fdt').bytes.readUInt32BE(4);
  expect(totalSize).toBeGreaterThan(used + 500);
  expect(totalSize).toBeLessThanOrEqual(0x7000);
  expect(reserved(path, FDT)).toBe(BigInt(totalSize));
});
