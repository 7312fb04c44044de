import { KdumpError, hex } from '../errors.js';
import type { PhysicalPages, Translation } from './kernel-memory.js';
import type { Vmcoreinfo } from './vmcoreinfo.js';

/** How the addresses of an architecture's kernel lead to physical memory. */
export interface KernelArchitecture {
  /** As the kernel and Debian name it. */
  readonly name: 'x86_64' | 'ppc64le' | 'ppc64' | 'aarch64' | 'riscv64';
  readonly translate: Translation;
}

/** @returns undefined for architectures whose kernels are not read. @throws KdumpError `input` when vmcoreinfo lacks what an architecture needs */
export function architectureOfKernel(pages: PhysicalPages, info: Vmcoreinfo): KernelArchitecture | undefined {
  if (info.number('phys_base') !== undefined) return { name: 'x86_64', translate: x86_64(pages, info) };
  if (info.number('kimage_voffset') !== undefined) return { name: 'aarch64', translate: aarch64(info) };
  if (info.number('va_kernel_pa_offset') !== undefined) return { name: 'riscv64', translate: riscv64(info) };
  if (((info.symbol('_stext') ?? 0n) & PPC64_REGION) === PPC64_LINEAR) {
    return { name: info.order === 'lsb' ? 'ppc64le' : 'ppc64', translate: ppc64 };
  }
  return undefined;
}

/** __START_KERNEL_map; the image is at most KERNEL_IMAGE_SIZE (arch/x86/include/asm/page_64_types.h). */
const X86_KERNEL = 0xffff_ffff_8000_0000n;
const X86_KERNEL_END = 0xffff_ffff_c000_0000n;
const [X86_PRESENT, X86_LARGE] = [1n, 0x80n];
const X86_FRAME = 0xf_ffff_ffff_f000n;

/** The image by phys_base, as __phys_addr() does; all else, which KASLR moves, by the kernel's own page tables of 4 or 5 levels. */
function x86_64(pages: PhysicalPages, info: Vmcoreinfo): Translation {
  const base = required(info, 'NUMBER(phys_base)', info.number('phys_base'));
  const image: Translation = (address) => address - X86_KERNEL + base;
  const root = image(required(info, 'SYMBOL(swapper_pg_dir)', info.symbol('swapper_pg_dir')));
  const levels = info.number('pgtable_l5_enabled') === 1n ? 5 : 4;
  const frame = X86_FRAME & ~(info.number('sme_mask') ?? 0n);
  const walk: Translation = (address) => {
    let table = root;
    for (let level = levels; ; level -= 1) {
      const shift = 12n + 9n * BigInt(level - 1);
      const entry = pages.u64(table + 8n * ((address >> shift) & 0x1ffn));
      if ((entry & X86_PRESENT) === 0n) throw unmapped(address);
      const isLast = level === 1 || ((level === 2 || level === 3) && (entry & X86_LARGE) !== 0n);
      const within = (1n << shift) - 1n;
      if (isLast) return (entry & frame & ~within) | (address & within);
      table = entry & frame;
    }
  };
  return (address) => (address >= X86_KERNEL && address < X86_KERNEL_END ? image(address) : walk(address));
}

/** PAGE_OFFSET of ppc64; hash and radix have the linear map there, and modules and vmalloc above it (arch/powerpc/include/asm/book3s/64). */
const PPC64_REGION = 0xf000_0000_0000_0000n;
const PPC64_LINEAR = 0xc000_0000_0000_0000n;
const PPC64_LINEAR_END = 0xc008_0000_0000_0000n;

/** __pa() of arch/powerpc/include/asm/page.h: the kernel itself lies in the linear map. */
const ppc64: Translation = (address) => {
  if (address < PPC64_LINEAR || address >= PPC64_LINEAR_END) throw unmapped(address);
  return address - PPC64_LINEAR;
};

/** __virt_to_phys_nodebug() of arch/arm64/include/asm/memory.h: the lower half of the kernel's addresses is the linear map. */
function aarch64(info: Vmcoreinfo): Translation {
  const bits = required(info, 'NUMBER(VA_BITS)', info.number('VA_BITS'));
  const imageOffset = required(info, 'NUMBER(kimage_voffset)', info.number('kimage_voffset'));
  const memoryStart = required(info, 'NUMBER(PHYS_OFFSET)', info.number('PHYS_OFFSET'));
  const linear = ADDRESSES - (1n << bits);
  const linearEnd = ADDRESSES - (1n << ((bits < 48n ? bits : 48n) - 1n));
  return (address) => {
    if (address < linear) throw unmapped(address);
    return BigInt.asUintN(64, address < linearEnd ? address - linear + memoryStart : address - imageOffset);
  };
}

/** kernel_mapping_va_to_pa() and linear_mapping_va_to_pa() of arch/riscv/include/asm/page.h. */
function riscv64(info: Vmcoreinfo): Translation {
  const imageOffset = required(info, 'NUMBER(va_kernel_pa_offset)', info.number('va_kernel_pa_offset'));
  const linear = required(info, 'NUMBER(PAGE_OFFSET)', info.number('PAGE_OFFSET'));
  const memoryStart = required(info, 'NUMBER(phys_ram_base)', info.number('phys_ram_base'));
  const image = required(info, 'NUMBER(KERNEL_LINK_ADDR)', info.number('KERNEL_LINK_ADDR'));
  return (address) => {
    if (address < linear) throw unmapped(address);
    return BigInt.asUintN(64, address < image ? address - linear + memoryStart : address - imageOffset);
  };
}

const ADDRESSES = 1n << 64n;

function required(info: Vmcoreinfo, name: string, value: bigint | undefined): bigint {
  if (value !== undefined) return value;
  throw new KdumpError('input', 'vmcoreinfo does not tell where the kernel lies', { found: `Linux ${info.release} without ${name}` });
}

function unmapped(address: bigint): KdumpError {
  return new KdumpError('input', "a pointer of the kernel's leads nowhere", { found: hex(address) });
}
