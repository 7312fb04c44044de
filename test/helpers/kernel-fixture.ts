import { ftruncateSync, openSync, closeSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { findRunningKernel, type RunningKernel } from '../../src/kernel/running-kernel.js';
import { PhysicalMemory } from '../../src/memory-source/physical-memory.js';
import { merged } from '../../src/memory/range-set.js';
import { rangeOfSize, type Range } from '../../src/memory/range.js';
import { FIXTURES } from './fixtures.js';

export const KERNEL_FIXTURES = join(FIXTURES, 'kernels');
/** Folders of fixtures/kernels: their names begin with the architecture. */
export const RECORDED_KERNELS = ['x86_64-6.12-5-levels', 'x86_64-6.1-4-levels', 'ppc64le-6.12-64k'] as const;
export type RecordedKernel = (typeof RECORDED_KERNELS)[number];
export const FIXTURE_PAGE = 0x1000;

/** What was recorded of a guest in one state; made by scripts/record-kernels.mjs. */
export interface RecordedState {
  /** Physical, of the vmcoreinfo note. */
  readonly note: string;
  /** Runs of pages: physical address of the first, and the places of all in pages.gz. */
  readonly pages: readonly (readonly [address: string, ...places: number[]])[];
  /** What the guest said: /proc/iomem; the lines of kexec -d that have segments, or what the kernel logged; CPUs of sysfs; kexec_crash_loaded. */
  readonly iomem: string;
  readonly kexecLog: string | null;
  readonly cpus: string;
  readonly isLoaded: boolean;
  readonly release: string;
}

/** Memory of which only some pages are known. */
export class PagesMemory extends PhysicalMemory {
  readonly path = 'pages';
  readonly status = { size: 0n, mode: 0o644, group: 0 };
  readonly ranges: readonly Range[];
  readonly pages: ReadonlyMap<bigint, Uint8Array>;

  constructor(pages: ReadonlyMap<bigint, Uint8Array>) {
    super();
    this.pages = pages;
    this.ranges = merged([...pages.keys()].map((address) => rangeOfSize(address, BigInt(FIXTURE_PAGE))));
  }

  placeOf(): null {
    return null;
  }

  close(): void {
    // Nothing is open.
  }

  protected readHeld(into: Uint8Array, address: bigint): void {
    for (let done = 0; done < into.length;) {
      const skip = Number((address + BigInt(done)) % BigInt(FIXTURE_PAGE));
      const part = this.pages.get(address + BigInt(done - skip))?.subarray(skip, skip + into.length - done) ?? new Uint8Array();
      into.set(part, done);
      done += part.length;
    }
  }
}

export function recordedStates(kernel: RecordedKernel): Record<string, RecordedState> {
  return JSON.parse(readFileSync(join(KERNEL_FIXTURES, kernel, 'states.json'), 'utf8')) as Record<string, RecordedState>;
}

const unpacked = new Map<RecordedKernel, Uint8Array>();

export function recordedMemory(kernel: RecordedKernel, state: RecordedState): PagesMemory {
  let all = unpacked.get(kernel);
  if (all === undefined) unpacked.set(kernel, (all = gunzipSync(readFileSync(join(KERNEL_FIXTURES, kernel, 'pages.gz')))));
  const pages = new Map<bigint, Uint8Array>();
  for (const [address, ...places] of state.pages) {
    places.forEach((place, index) => {
      pages.set(BigInt(address) + BigInt(index * FIXTURE_PAGE), all.subarray(place * FIXTURE_PAGE, (place + 1) * FIXTURE_PAGE));
    });
  }
  return new PagesMemory(pages);
}

/** Every answer of the kernel. */
export function askAll(kernel: RunningKernel): string {
  const { architecture, nodeName, resources, crashKernelRanges, loadedImage, isKexecLocked, cpus } = kernel;
  const answers = {
    architecture,
    nodeName,
    resources,
    crashKernelRanges,
    loadedImage,
    isKexecLocked,
    cpus,
    tree: kernel.deviceTree(() => true),
  };
  return JSON.stringify(answers, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value instanceof Map ? [...(value as Map<unknown, unknown>)] : value,
  );
}

const [ELF_HEADER, PROGRAM_HEADER] = [64, 56];

/** The recorded memory, and zeros where segments of the loaded image were not recorded, as an ELF dump. */
export function writeDump(path: string, memory: PagesMemory, segments = loadedSegments(memory)): string {
  const pages = [...memory.pages.keys()].map((start) => ({ start, end: start + BigInt(FIXTURE_PAGE) }));
  const ranges = merged([...segments, ...pages]);
  const header = Buffer.alloc(ELF_HEADER + PROGRAM_HEADER * ranges.length);
  // ELFCLASS64, ELFDATA2LSB, ET_CORE, EM_X86_64: nobody looks at the machine of a dump.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.set([4, 0, 62, 0, 1], 16);
  header.writeBigUInt64LE(BigInt(ELF_HEADER), 32);
  header.writeUInt16LE(ELF_HEADER, 52);
  header.writeUInt16LE(PROGRAM_HEADER, 54);
  header.writeUInt16LE(ranges.length, 56);
  let offset = BigInt(Math.ceil(header.length / FIXTURE_PAGE) * FIXTURE_PAGE);
  const descriptor = openSync(path, 'w');
  ranges.forEach(({ start, end }, index) => {
    const at = ELF_HEADER + PROGRAM_HEADER * index;
    header.writeUInt32LE(1, at);
    for (const [field, value] of [offset, 0n, start, end - start, end - start].entries())
      header.writeBigUInt64LE(value, at + 8 + 8 * field);
    for (let address = start; address < end; address += BigInt(FIXTURE_PAGE)) {
      const page = memory.pages.get(address);
      if (page !== undefined) writeSync(descriptor, page, 0, page.length, Number(offset + address - start));
    }
    offset += end - start;
  });
  writeSync(descriptor, header, 0, header.length, 0);
  ftruncateSync(descriptor, Number(offset));
  closeSync(descriptor);
  return path;
}

export function loadedSegments(memory: PagesMemory): { start: bigint; end: bigint }[] {
  const segments = findRunningKernel(memory).loadedImage?.segments ?? [];
  return segments.map(({ mem, memsz }) => ({ start: mem, end: mem + memsz }));
}
