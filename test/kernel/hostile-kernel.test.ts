import { describe, expect, it } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { findRunningKernel } from '../../src/kernel/running-kernel.js';
import { findVmcoreinfo, vmcoreinfoAt } from '../../src/kernel/vmcoreinfo.js';
import { EACH, FIXED, blankNames } from '../helpers/blank-kernel.js';
import { kernelWriter, recorded, type Recorded } from '../helpers/kernel-writer.js';
import { PagesMemory, RECORDED_KERNELS, askAll } from '../helpers/kernel-fixture.js';

function answersOf({ pages, note }: Recorded): string {
  return askAll(findRunningKernel(new PagesMemory(pages), [note]));
}

function failureOf(given: Recorded): string {
  try {
    answersOf(given);
  } catch (error) {
    if (error instanceof KdumpError && error.kind === 'input') return error.message;
    throw error;
  }
  return '';
}

const RESOURCE = { end: 8n, name: 16n, parent: 40n, sibling: 48n, child: 56n };
const KIMAGE = { count: 56n, segments: 64n };

describe('a kernel that lies', () => {
  it('about its resources is found out: circles, foreign parents, a range that ends nowhere', () => {
    const cycle = recorded();
    const { symbol, u64, write } = kernelWriter(cycle);
    const first = u64(symbol('iomem_resource') + RESOURCE.child);
    write(first + RESOURCE.sibling, first);
    expect(failureOf(cycle)).toContain('no tree');

    const foreign = recorded();
    const second = kernelWriter(foreign);
    second.write(second.u64(second.symbol('iomem_resource') + RESOURCE.child) + RESOURCE.parent, 0x1234n);
    expect(failureOf(foreign)).toContain('no tree');

    const lost = recorded();
    const third = kernelWriter(lost);
    third.write(third.symbol('iomem_resource') + RESOURCE.child, 0xdead_0000n);
    expect(failureOf(lost)).toMatch(/leads nowhere|was not recorded/);
  });

  it('about its image is found out: too many segments, segments outside the crashkernel range', () => {
    for (const [offset, value] of [
      [KIMAGE.count, 0n],
      [KIMAGE.count, 17n],
      [KIMAGE.count, (1n << 64n) - 1n],
      [KIMAGE.segments + 16n, 0x100000n],
      [KIMAGE.segments + 16n, (1n << 64n) - 0x1000n],
      [KIMAGE.segments + 24n, 0n],
      [KIMAGE.segments + 24n, (1n << 64n) - 0x1000n],
    ] as const) {
      const given = recorded();
      const { symbol, u64, write } = kernelWriter(given);
      write(u64(symbol('kexec_crash_image')) + offset, value);
      expect(failureOf(given), `${offset} ${value}`).not.toBe('');
    }
  });

  it('about its symbols is found out, and costs no more than its tables', () => {
    for (const [table, value] of [
      ['kallsyms_num_syms', 0xffff_ffffn],
      ['kallsyms_token_index', 0xffff_ffff_ffff_ffffn],
      ['kallsyms_relative_base', 0x1234n],
    ] as const) {
      const given = recorded();
      kernelWriter(given).write(given.info.symbol(table) ?? 0n, value);
      expect(failureOf(given), table).not.toBe('');
    }
  });

  it('about its types is found out: members outside of what they are members of', () => {
    const given = recorded();
    const { symbol, u64, write } = kernelWriter(given);
    const btf = symbol('__start_BTF');
    const sizes = u64(btf + 8n);
    const [typesAt, typesSize] = [btf + 24n + (sizes & 0xffff_ffffn), sizes >> 32n];
    // Of every structure that is left, which are those that are read, each member lies behind its end.
    for (let at = typesAt; at < typesAt + typesSize;) {
      const info = Number(u64(at) >> 32n);
      const [kind, count] = [(info >>> 24) & 0x1f, info & 0xffff];
      const isStruct = kind === 4;
      for (let member = at + 12n; isStruct && (u64(at) & 0xffff_ffffn) !== 0n && member < at + 12n + 12n * BigInt(count); member += 12n) {
        if (member % 0x1000n <= 0xff4n) write(member + 4n, (0x00ff_fff0n << 32n) | (u64(member + 4n) & 0xffff_ffffn));
      }
      at += 12n + BigInt((FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * count);
    }
    expect(failureOf(given)).toContain('does not tell what struct');
  });

  it('about its page tables is found out: one that begins where none can', () => {
    const given = recorded();
    const note = Buffer.from(given.pages.get(given.note) ?? []);
    const at = note.indexOf('SYMBOL(swapper_pg_dir)=') + 23 + 13;
    given.pages.get(given.note)?.set(Buffer.from('ffd'), at);
    expect(failureOf(given)).not.toBe('');
  });

  it('about its release is not the one that runs', () => {
    const given = recorded();
    const { symbol, write } = kernelWriter(given);
    write(symbol('init_uts_ns') + 130n, 0x41414141n);
    expect(failureOf(given)).toContain('does not run any more');
  });

  it('by any value anywhere says something else or nothing, and never makes the program fail', () => {
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 0x7fffffff) % below;
    for (const kernel of RECORDED_KERNELS) {
      const clean = recorded(kernel);
      const answers = answersOf(clean);
      // The tables of symbols and types have cases of their own, and are most of the pages.
      const small = [...clean.pages].filter(([at]) => !clean.pages.has(at - 0x1000n) || !clean.pages.has(at + 0x1000n));
      let differing = 0;
      for (let round = 0; round < 25; round += 1) {
        const page = small[random(small.length)]?.[1] ?? new Uint8Array(0x1000);
        const before = Uint8Array.from(page);
        for (let value = 0; value < 64; value += 1) {
          const at = 8 * random(512);
          const words = [0n, 0xffff_ffff_ffff_ffffn, BigInt(random(0x7fffffff)), 0xc000_0000_0000_0000n + BigInt(random(0x7fffffff))];
          new DataView(page.buffer, page.byteOffset).setBigUint64(at, words[random(4)] ?? 0n, true);
        }
        try {
          if (answersOf(clean) !== answers) differing += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(KdumpError);
          differing += 1;
        }
        page.set(before);
      }
      expect(differing).toBeGreaterThan(0);
    }
  });
});

describe('a kernel without BTF', () => {
  it.each(RECORDED_KERNELS)('is read by the layouts of this program: %s', (kernel) => {
    const given = recorded(kernel);
    const before = JSON.parse(answersOf(given)) as Record<string, { hotplug?: unknown; crashNotes?: unknown } | null>;
    blankNames(given.info, given.pages, (name) => name.endsWith('_BTF'));
    const after = JSON.parse(answersOf(given)) as typeof before;
    // What only its own types tell.
    expect(after.loadedImage?.hotplug).toBeNull();
    expect(after.cpus?.crashNotes).toBeNull();
    for (const answers of [before, after]) {
      if (answers.loadedImage) delete answers.loadedImage.hotplug;
      if (answers.cpus) delete answers.cpus.crashNotes;
    }
    expect(after).toEqual(before);
  });
});

describe('vmcoreinfo notes', () => {
  const note = (order: 'lsb' | 'msb', text: string): Uint8Array => {
    const bytes = new Uint8Array(0x2000);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 11, order === 'lsb');
    view.setUint32(4, text.length, order === 'lsb');
    bytes.set(Buffer.from('VMCOREINFO\0', 'latin1'), 12);
    bytes.set(Buffer.from(text, 'latin1'), 24);
    return bytes;
  };
  const memoryOf = (...notes: readonly (readonly [bigint, Uint8Array])[]): PagesMemory =>
    new PagesMemory(
      new Map(notes.flatMap(([at, bytes]) => [[at, bytes.subarray(0, 0x1000)] as const, [at + 0x1000n, bytes.subarray(0x1000)] as const])),
    );

  it('are found on pages, in either byte order, with what they say', () => {
    const text = 'OSRELEASE=6.99\nSYMBOL(a)=ffff000011112222\nNUMBER(b)=-5\nNUMBER(c)=0x10\nSIZE(d)=8\nOFFSET(e.f)=16\n';
    const memory = memoryOf([0x5000n, note('lsb', text)], [0x9000n, note('msb', text)]);
    const found = findVmcoreinfo(memory).flatMap((at) => vmcoreinfoAt(memory, at) ?? []);
    expect(found.map(({ address, order }) => [address, order])).toEqual([
      [0x5000n, 'lsb'],
      [0x9000n, 'msb'],
    ]);
    for (const each of found) {
      expect([each.release, each.buildId]).toEqual(['6.99', null]);
      expect([each.symbol('a'), each.number('b'), each.number('c'), each.size('d'), each.offset('e.f')]).toEqual([
        0xffff_0000_1111_2222n,
        -5n,
        16n,
        8,
        16,
      ]);
      expect([each.symbol('b'), each.number('a'), each.size('e.f')]).toEqual([undefined, undefined, undefined]);
    }
  });

  it('are none without a release, behind the end of memory, or of more than 64 KiB', () => {
    expect(vmcoreinfoAt(memoryOf([0x5000n, note('lsb', 'SYMBOL(a)=1\n')]), 0x5000n)).toBeUndefined();
    expect(vmcoreinfoAt(memoryOf([0x5000n, note('lsb', 'OSRELEASE=6.99\n')]), 0x7000n)).toBeUndefined();
    for (const length of [0, 0x1fe9, 0x10001, 0xffff_ffff]) {
      const bytes = note('lsb', 'OSRELEASE=6.99\n');
      new DataView(bytes.buffer).setUint32(4, length, true);
      expect(vmcoreinfoAt(memoryOf([0x5000n, bytes]), 0x5000n), String(length)).toBeUndefined();
    }
  });

  it('more than boots leave are too many', () => {
    const notes = Array.from({ length: 20 }, (_, index) => [BigInt(index) * 0x2000n, note('lsb', 'OSRELEASE=6.99\n')] as const);
    expect(() => findRunningKernel(memoryOf(...notes))).toThrow('more vmcoreinfo notes than boots leave');
  });
});
