import { findSymbols } from '../../src/kernel/kallsyms.js';
import { KernelMemory, PhysicalPages } from '../../src/kernel/kernel-memory.js';
import { SYMBOLS } from '../../src/kernel/running-kernel.js';
import { architectureOfKernel } from '../../src/kernel/translation.js';
import { vmcoreinfoAt, type Vmcoreinfo } from '../../src/kernel/vmcoreinfo.js';
import { PagesMemory, recordedMemory, recordedStates, type RecordedKernel } from './kernel-fixture.js';

/** Memory of a kernel that may be changed. */
export interface Recorded {
  readonly pages: Map<bigint, Uint8Array>;
  readonly note: bigint;
  readonly info: Vmcoreinfo;
}

/** A copy whose pages may be changed. */
export function recorded(kernel: RecordedKernel = 'x86_64-6.12-5-levels', state = 'loaded'): Recorded {
  const said = recordedStates(kernel)[state];
  if (said === undefined) throw new Error(`no state ${state}`);
  const pages = new Map([...recordedMemory(kernel, said).pages].map(([address, page]) => [address, Uint8Array.from(page)]));
  const note = BigInt(said.note);
  const info = vmcoreinfoAt(new PagesMemory(pages), note);
  if (info === undefined) throw new Error('no note');
  return { pages, note, info };
}

/** Reads and writes at the kernel's own addresses. */
export function kernelWriter({ pages, info }: Recorded): {
  readonly symbol: (name: (typeof SYMBOLS)[number]) => bigint;
  readonly u64: (at: bigint) => bigint;
  readonly write: (at: bigint, value: bigint) => void;
} {
  const physical = new PhysicalPages(new PagesMemory(pages), info.order);
  const { translate } = architectureOfKernel(physical, info) ?? {};
  if (translate === undefined) throw new Error('no architecture');
  const memory = new KernelMemory(physical, translate);
  const symbols = findSymbols(memory, info, SYMBOLS);
  return {
    symbol: (name) => symbols.get(name) ?? 0n,
    u64: (at) => memory.u64(at),
    write: (at, value) => {
      const place = translate(at);
      const page = pages.get(place & ~0xfffn);
      if (page === undefined) throw new Error('not recorded');
      new DataView(page.buffer, page.byteOffset).setBigUint64(Number(place & 0xfffn), value, true);
    },
  };
}
