import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { build, partsOf, RAM_SIZE, ramFile, type ArchitectureName, type Built } from '../helpers/build-image.js';
import { fileSystemWith, kcoreOf, type Paging } from '../helpers/kcore.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// /proc/kcore as kernels of every paging mode and page size show it: the linear map, and so the image, may lie behind 2^53.

const folder = scratchFolder();
const KCORE = '/proc/kcore';
const LOADED = '/sys/kernel/kexec_crash_loaded';
const LOCKDOWN = '/sys/kernel/security/lockdown';

const low =
  (bits: number) =>
  (virtual: bigint): bigint =>
    virtual & ((1n << BigInt(bits)) - 1n);
const from =
  (start: bigint) =>
  (virtual: bigint): bigint =>
    virtual - start;

const MODES: [string, ArchitectureName, Paging][] = [
  ['x86_64, four levels', 'x86_64', { linearMap: 0xffff888000000000n, offsetOf: low(47), pageSize: 0x1000, vmalloc: 0xffffc90000000000n, vmallocSize: 0x1fffffffffffn }],
  ['x86_64, five levels', 'x86_64', { linearMap: 0xff11000000000000n, offsetOf: low(56), pageSize: 0x1000, vmalloc: 0xffa0000000000000n, vmallocSize: 0xfffffffffffffn }],
  ['x86_64, five levels and KASLR', 'x86_64', { linearMap: 0xff29d8f140100000n, offsetOf: low(56), pageSize: 0x1000, vmalloc: 0xffd20f0000000000n, vmallocSize: 0x2df0ffffffffffn }],
  ['aarch64, 48 bits, 4 KiB', 'aarch64', { linearMap: 0xffff000000000000n, offsetOf: low(48), pageSize: 0x1000, vmalloc: 0xffff800080000000n, vmallocSize: 0x7dff3fff0000n }],
  ['aarch64, 48 bits, 16 KiB', 'aarch64', { linearMap: 0xffff000000000000n, offsetOf: low(48), pageSize: 0x4000, vmalloc: 0xffff800080000000n, vmallocSize: 0x7dff3fff0000n }],
  ['aarch64, 52 bits, 64 KiB', 'aarch64', { linearMap: 0xfff0000000000000n, offsetOf: low(52), pageSize: 0x10000, vmalloc: 0xffff800080000000n, vmallocSize: 0x7dff3fff0000n }],
  ['ppc64le, radix, 64 KiB', 'ppc64le', { linearMap: 0xc000000000000000n, offsetOf: from(0xc000000000000000n), pageSize: 0x10000, vmalloc: 0xc008000000000000n, vmallocSize: 0x2000000000000n }],
  ['ppc64le, hash, 64 KiB', 'ppc64le', { linearMap: 0xc000000000000000n, offsetOf: from(0xc000000000000000n), pageSize: 0x10000, vmalloc: 0xd000000000000000n, vmallocSize: 0x1f80000000000n }],
  ['ppc64, 4 KiB', 'ppc64', { linearMap: 0xc000000000000000n, offsetOf: from(0xc000000000000000n), pageSize: 0x1000, vmalloc: 0xd000000000000000n, vmallocSize: 0x1f80000000000n }],
  ['riscv64, Sv39', 'riscv64', { linearMap: 0xffffffd600000000n, offsetOf: low(39), pageSize: 0x1000, vmalloc: 0xffffffc800000000n, vmallocSize: 0xd00000000n }],
  ['riscv64, Sv48', 'riscv64', { linearMap: 0xffffaf8000000000n, offsetOf: low(48), pageSize: 0x1000, vmalloc: 0xffff8f8000000000n, vmallocSize: 0x1fffffffffffn }],
  ['riscv64, Sv57', 'riscv64', { linearMap: 0xff60000000000000n, offsetOf: low(57), pageSize: 0x1000, vmalloc: 0xff20000000000000n, vmallocSize: 0x3fffffffffffffn }],
  ['loongarch64, 16 KiB', 'loongarch64', { linearMap: 0x9000000000000000n, offsetOf: from(0x9000000000000000n), pageSize: 0x4000, vmalloc: 0xffff800000000000n, vmallocSize: 0x10000000000n }],
]; // prettier-ignore

function iomemOf({ parts }: Built): string {
  const { base } = parts.facts;
  const line = (start: bigint, end: bigint, name: string): string => `${start.toString(16)}-${(end - 1n).toString(16)} : ${name}\n`;
  return line(base, base + RAM_SIZE, 'System RAM') + '  ' + line(parts.crashKernel.start, parts.crashKernel.end, 'Crash kernel');
}

describe.each(MODES)('%s', (name, architecture, paging) => {
  const built = build(partsOf(architecture));
  const fileSystem = fileSystemWith({ [KCORE]: kcoreOf(built, paging) }, { '/proc/iomem': iomemOf(built), [LOADED]: '1\n' });

  test('capture takes the same image from it as from the RAM itself', () => {
    const [live, copied] = ['live', 'ram'].map((what) => join(folder, `${name}-${what}.kdump`.replace(/[ ,/]+/g, '-'))) as [string, string];
    expect(run(['capture', KCORE, '-o', live], { fileSystem })).toMatchObject({ status: 0, stderr: '' });
    const ram = ramFile(join(folder, `${name}.ram`.replace(/[ ,/]+/g, '-')), [built]);
    expect(run(['capture', ram.path, ...ram.options, '-o', copied])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(live).equals(readFileSync(copied))).toBe(true);
  });

  test('inspect says where in it each segment is, to the byte', () => {
    const result = run(['inspect', KCORE, '--json'], { fileSystem });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const { segments } = JSON.parse(result.stdout) as { segments: { address: string; fileOffset: number | string }[] };
    for (const { address, fileOffset } of segments) {
      const virtual = paging.linearMap + BigInt(address) - built.parts.facts.base;
      expect(BigInt(fileOffset)).toBe(paging.offsetOf(virtual) + BigInt(paging.pageSize));
    }
  });
});

describe('what cannot be', () => {
  const built = build(partsOf('x86_64'));
  const paging = (MODES[1] as (typeof MODES)[0])[2];
  const iomem = iomemOf(built);
  const refused = (fileSystem: typeof nodeFileSystem, pattern: RegExp, status = 3): void => {
    for (const command of ['inspect', 'check']) {
      const result = run([command, KCORE], { fileSystem });
      expect(result).toMatchObject({ status, stdout: '' });
      expect(result.stderr).toMatch(/^kdump-hotplug: \/proc\/kcore: [^\n]+\n$/);
      expect(result.stderr).toMatch(pattern);
    }
  };

  test('a kernel without a kdump image says so at once: nothing of its memory is read', () => {
    const fileSystem = fileSystemWith({}, { '/proc/iomem': iomem, [LOADED]: '0\n' }, () => {
      throw new Error('opened');
    });
    refused(fileSystem, /no kdump image is loaded on this machine: found 0 in \/sys\/kernel\/kexec_crash_loaded.*load one/);
  });

  test('a kernel without that file is asked as before', () => {
    const fileSystem = fileSystemWith({ [KCORE]: kcoreOf(built, paging) }, { '/proc/iomem': iomem });
    expect(run(['inspect', KCORE], { fileSystem })).toMatchObject({ status: 0 });
  });

  test.each([
    ['none integrity [confidentiality]\n', /lockdown "confidentiality".*boot without lockdown=confidentiality/],
    ['[none] integrity confidentiality\n', /no CAP_SYS_RAWIO; run it as root of the machine itself/],
    [undefined, /no CAP_SYS_RAWIO/],
  ])('EPERM is explained: lockdown says %j', (lockdown, words) => {
    const eperm = (path: string): never => {
      const cause = Object.assign(new Error('EPERM'), { code: 'EPERM' });
      throw new KdumpError('io', 'cannot open: operation not permitted (EPERM)', { file: path, cause });
    };
    const texts = { '/proc/iomem': iomem, [LOADED]: '1\n', ...(lockdown === undefined ? {} : { [LOCKDOWN]: lockdown }) };
    refused(fileSystemWith({}, texts, eperm), words, 5);
  });

  test.each(MODES)('before Linux 4.11 it does not say where memory lies: %s', (_, architecture, mode) => {
    const old = build(partsOf(architecture));
    const fileSystem = fileSystemWith(
      { [KCORE]: kcoreOf(old, mode, { addresses: false }) },
      { '/proc/iomem': iomemOf(old), [LOADED]: '1\n' },
    );
    refused(fileSystem, /this kernel's kcore does not say where memory lies: .*p_paddr 0, as Linux before 4\.11/);
  });
});
