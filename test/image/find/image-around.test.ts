import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../../src/arch/registry.js';
import type { ArchitectureName } from '../../../src/arch/architecture.js';
import { imageAround } from '../../../src/image/find/image-around.js';
import { Search } from '../../../src/image/find/search.js';
import { rangeOfSize } from '../../../src/memory/range.js';
import { elfcorehdr, elfcorehdrBytes, load, note } from '../../helpers/elfcorehdr.js';
import { memoryOf } from '../../helpers/memory-of.js';

const MIB = 1n << 20n;
const AT = MIB;
const HEADERS = [note(0x200n), note(0x400n), load(16n * MIB, 32n * MIB)];
/** The whole pages of what e_phnum program headers take. */
const MOST = (64n + 56n * 0xffffn) & ~0xfffn;

interface Options {
  name?: ArchitectureName;
  /** Address of a byte that is not zero. */
  byteAt?: bigint;
  stated?: bigint[];
  crashKernelEnd?: bigint;
}

/** memsz of an elfcorehdr with zeros behind it, in 16 MiB of memory. */
function memsz({ name = 'x86_64', byteAt, stated = [], crashKernelEnd = 16n * MIB }: Options): bigint | undefined {
  const bytes = new Uint8Array(Number(16n * MIB));
  bytes.set(elfcorehdrBytes(HEADERS), Number(AT));
  if (byteAt !== undefined) bytes[Number(byteAt)] = 1;
  const memory = memoryOf(bytes);
  const description = { elfcorehdr: { address: AT, contents: elfcorehdr(HEADERS) }, fdt: null };
  const crashKernel = rangeOfSize(0n, crashKernelEnd);
  const { segments } = imageAround(new Search(memory, undefined), architectureNamed(name), crashKernel, description, stated, []);
  return segments.find(({ address }) => address === AT)?.memsz;
}

describe('the room of an elfcorehdr that nothing states', () => {
  test('is never more than e_phnum program headers take, however much is zero behind it', () => {
    expect(memsz({})).toBe(MOST);
  });

  test('ends where something else begins', () => {
    expect(memsz({ byteAt: AT + 0x5000n })).toBe(0x5000n);
    expect(memsz({ byteAt: AT + 0x5fffn })).toBe(0x5000n);
    expect(memsz({ crashKernelEnd: AT + 0x8000n })).toBe(0x8000n);
    // Its own page is its own.
    expect(memsz({ byteAt: AT + 0x800n })).toBe(0x1000n);
  });

  test('is what the kernel asks kexec-tools to reserve, where the architecture has a rule', () => {
    const reserved = architectureNamed('ppc64le').hotplugReservation?.(1) ?? expect.fail('no rule');
    expect(memsz({ name: 'ppc64le' })).toBe((reserved + 0xffffn) & ~0xffffn);
  });

  test('is as stated, if that is whole pages with room for what is there', () => {
    expect(memsz({ stated: [0x3000n] })).toBe(0x3000n);
    expect(memsz({ stated: [0x3001n, 0n, 0x4000n] })).toBe(0x4000n);
    // Beyond what can be there, it is not believed.
    expect(memsz({ stated: [MOST + 0x1000n] })).toBe(MOST);
  });
});
