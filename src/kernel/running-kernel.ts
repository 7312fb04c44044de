import { KdumpError, hex } from '../errors.js';
import { byStart, type Range } from '../memory/range.js';
import { Btf } from './btf.js';
import { readCpus, type KernelCpus } from './cpus.js';
import { findSymbols } from './kallsyms.js';
import { KernelMemory, PhysicalPages } from './kernel-memory.js';
import { Layouts } from './layouts.js';
import { readLiveTree, type KernelNode } from './live-tree.js';
import { readLoadedImage, reservedRange, type LoadedImage } from './loaded-image.js';
import { readResources, type Resource } from './resources.js';
import type { MemorySource } from './source.js';
import { architectureOfKernel, type KernelArchitecture } from './translation.js';
import { findVmcoreinfo, vmcoreinfoAt, type Vmcoreinfo } from './vmcoreinfo.js';

/** The symbols that are looked up. */
export const SYMBOLS = [
  'init_uts_ns',
  'iomem_resource',
  'kexec_crash_image',
  'crashk_res',
  'crashk_low_res',
  '__kexec_lock',
  '__start_BTF',
  '__stop_BTF',
  '__cpu_possible_mask',
  '__cpu_present_mask',
  '__cpu_online_mask',
  'nr_cpu_ids',
  'crash_notes',
  '__per_cpu_offset',
  'of_root',
] as const;
type SymbolName = (typeof SYMBOLS)[number];

/** Of one kernel there is one; each that another boot left costs a look at that kernel. */
const MAX_NOTES = 16;
const MAX_BTF = 32 << 20;
/** Resources are nested a few levels deep. */
const MAX_LEVELS = 64;
/** struct new_utsname, include/uapi/linux/utsname.h: six texts of 65 bytes, of which these are the second and third. */
const UTS_FIELD = 65n;
const [NODENAME, RELEASE] = [1n, 2n];

/** A kernel that runs, or ran when the memory was saved: what it says of itself and its machine. Each question reads what it needs. */
export class RunningKernel {
  readonly info: Vmcoreinfo;
  readonly architecture: KernelArchitecture['name'];
  private readonly memory: KernelMemory;
  private readonly layouts: Layouts;
  private readonly symbols: ReadonlyMap<SymbolName, bigint>;
  readonly nodeName: string;

  private constructor(
    info: Vmcoreinfo,
    architecture: KernelArchitecture['name'],
    memory: KernelMemory,
    layouts: Layouts,
    symbols: ReadonlyMap<SymbolName, bigint>,
    nodeName: string,
  ) {
    this.info = info;
    this.architecture = architecture;
    this.memory = memory;
    this.layouts = layouts;
    this.symbols = symbols;
    this.nodeName = nodeName;
  }

  /**
   * The kernel that vmcoreinfo is of.
   *
   * @throws KdumpError `input` that tells why it cannot be read, or does not live: what it says of itself does not agree
   */
  static open(source: MemorySource, info: Vmcoreinfo): RunningKernel {
    const pages = new PhysicalPages(source, info.order);
    const architecture = architectureOfKernel(pages, info);
    if (architecture === undefined)
      throw new KdumpError('input', 'a kernel of an architecture that is not read', { found: `Linux ${info.release}` });
    const memory = new KernelMemory(pages, architecture.translate);
    const uts = (info.symbol('init_uts_ns') ?? 0n) + BigInt(info.offset('uts_namespace.name') ?? 0);
    const release = memory.text(uts + RELEASE * UTS_FIELD);
    if (release !== info.release) throw notAlive(`init_uts_ns has the release "${release}", vmcoreinfo "${info.release}"`);
    const symbols = findSymbols(memory, info, SYMBOLS);
    const layouts = new Layouts(readBtf(memory, symbols), memory);
    const kernel = new RunningKernel(info, architecture.name, memory, layouts, symbols, memory.text(uts + NODENAME * UTS_FIELD));
    kernel.checkCrashKernel();
    return kernel;
  }

  /** All that /proc/iomem has, each before what is in it. */
  get resources(): Resource[] {
    return readResources(this.memory, this.layouts, required(this.symbols, 'iomem_resource'));
  }

  /** The memory reserved with crashkernel=, ascending: none, one, or two where a part lies below 4 GiB. */
  get crashKernelRanges(): Range[] {
    const ranges = (['crashk_res', 'crashk_low_res'] as const).map((name) => reservedRange(this.layouts, this.symbols.get(name)));
    return ranges.filter((range) => range !== undefined).sort(byStart);
  }

  /** The image that a crash would start; null when none is loaded. */
  get loadedImage(): LoadedImage | null {
    const address = this.memory.u64(required(this.symbols, 'kexec_crash_image'));
    return address === 0n ? null : readLoadedImage(this.layouts, address, this.crashKernelRanges);
  }

  /** Whether the kernel is at its image just now: loads, unloads or updates it (kexec_trylock() in kernel/kexec_internal.h); null where unknown. */
  get isKexecLocked(): boolean | null {
    const address = this.symbols.get('__kexec_lock');
    return address === undefined ? null : this.memory.u32(address) !== 0;
  }

  /** From now on everything is read anew: memory that is in use changes. */
  lookAgain(): void {
    this.memory.forget();
  }

  get cpus(): KernelCpus {
    const { symbols } = this;
    return readCpus(
      this.memory,
      {
        possible: required(symbols, '__cpu_possible_mask'),
        present: required(symbols, '__cpu_present_mask'),
        online: required(symbols, '__cpu_online_mask'),
        count: required(symbols, 'nr_cpu_ids'),
        crashNotes: symbols.get('crash_notes'),
        perCpuOffset: symbols.get('__per_cpu_offset'),
      },
      this.layouts.crashNotesSize,
    );
  }

  /**
   * The live device tree; null where the machine has none.
   *
   * @param wants which children of the root are read, by their names with unit address
   */
  deviceTree(wants: (name: string) => boolean): KernelNode | null {
    const at = this.symbols.get('of_root');
    const root = at === undefined ? 0n : this.memory.u64(at);
    return root === 0n ? null : readLiveTree(this.memory, this.layouts, root, wants);
  }

  /** Whether crashk_res, where it is among the resources, is inside its parents up to their root. ppc64 does not put it there. */
  private checkCrashKernel(): void {
    const root = required(this.symbols, 'iomem_resource');
    for (const name of ['crashk_res', 'crashk_low_res'] as const) {
      const address = this.symbols.get(name);
      if (address === undefined) continue;
      let inner = this.layouts.at('resource', address);
      let parent = inner.u64('parent');
      for (let level = 0; parent !== 0n && parent !== root; level += 1) {
        const outer = this.layouts.at('resource', parent);
        if (level > MAX_LEVELS || outer.u64('start') > inner.u64('start') || outer.u64('end') < inner.u64('end')) {
          throw notAlive(`${name} is not inside the resource that it names`);
        }
        [inner, parent] = [outer, outer.u64('parent')];
        if (parent === 0n) throw notAlive(`${name} is not among the resources of the machine`);
      }
    }
  }
}

/**
 * The kernel that runs in `memory`.
 *
 * @param notes where vmcoreinfo notes are, physical, where that is known; else all memory is looked through for them
 * @throws KdumpError `input` when there is none, none can be read, or more than one can
 */
export function findRunningKernel(source: MemorySource, notes: readonly bigint[] = findVmcoreinfo(source)): RunningKernel {
  if (notes.length > MAX_NOTES) {
    throw new KdumpError('input', 'memory holds more vmcoreinfo notes than boots leave', {
      found: String(notes.length),
      expected: `at most ${MAX_NOTES}`,
    });
  }
  const rejected: KdumpError[] = [];
  const found = notes.flatMap((address) => {
    const info = vmcoreinfoAt(source, address);
    if (info === undefined) return [];
    try {
      return [RunningKernel.open(source, info)];
    } catch (error) {
      if (!(error instanceof KdumpError) || error.kind !== 'input') throw error;
      rejected.push(error);
      return [];
    }
  });
  const [only, second] = found;
  if (second !== undefined) {
    throw new KdumpError('input', 'more than one kernel seems to run in this memory', {
      found: found.map(({ info }) => `${info.release} with vmcoreinfo at ${hex(info.address)}`).join(', '),
      expected: 'one',
    });
  }
  if (only !== undefined) return only;
  throw rejected[0] ?? new KdumpError('input', 'no kernel found in this memory', { expected: 'a vmcoreinfo note on a page' });
}

function readBtf(memory: KernelMemory, symbols: ReadonlyMap<SymbolName, bigint>): Btf | null {
  const [start, end] = [symbols.get('__start_BTF'), symbols.get('__stop_BTF')];
  if (start === undefined || end === undefined) return null;
  if (end <= start || end - start > BigInt(MAX_BTF))
    throw new KdumpError('input', "the kernel's BTF is damaged", { found: `${end - start} bytes` });
  return new Btf(memory.read(start, Number(end - start)), memory.isLittleEndian);
}

function required(symbols: ReadonlyMap<SymbolName, bigint>, name: SymbolName): bigint {
  const address = symbols.get(name);
  if (address !== undefined) return address;
  throw new KdumpError('input', 'the kernel lacks a symbol that is needed', {
    found: `no ${name}, or several`,
    expected: 'CONFIG_KALLSYMS_ALL',
  });
}

function notAlive(found: string): KdumpError {
  return new KdumpError('input', 'a kernel that does not run any more', { found });
}
