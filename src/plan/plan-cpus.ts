import { KdumpError } from '../errors.js';
import { encodeCells } from '../fdt/cells.js';
import { newNodeFrom, type FdtEdit, type NewNode } from '../fdt/edit/edit.js';
import type { FdtProperty } from '../fdt/fdt.js';
import type { KdumpImage } from '../image/image.js';
import type { CpuChange } from '../machine/change.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../machine/device-tree.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { addressCells, cpusNode, cpusOf } from '../description/cpus.js';
import { liveCpusOf, type LiveCpu } from '../description/live-cpus.js';
import { MADE, type ChangeEffect } from './plan-memory.js';
import { PlannedCpus, type PlannedCpu } from './planned-cpus.js';
import { sameProperties } from '../description/properties.js';

/** How changes of CPUs are to be planned. */
export interface CpuPlanOptions {
  /** The live tree: an added CPU then brings all CPU nodes to its state, as the kernel does. Without it the node is made after another CPU's. */
  readonly deviceTree?: LiveDeviceTree | undefined;
  /** The bytes of the kernel's own handler, with its known defects (docs/rules.md). */
  readonly compat?: 'linux' | undefined;
  /** A removed CPU's node goes; without it, it stays, as the kernel leaves it. */
  readonly pruneCpus?: boolean | undefined;
}

/** A property whose value was worked out, not given. */
export interface DerivedProperty {
  readonly node: string;
  readonly property: string;
  readonly how: string;
}

export interface CpuPlan {
  readonly edits: readonly FdtEdit[];
  readonly effects: readonly ChangeEffect[];
  readonly derived: readonly DerivedProperty[];
}

const PHANDLES = ['phandle', 'linux,phandle', 'ibm,phandle'];

/**
 * The edits of the FDT that CPU changes come to. An added CPU's node comes from the live tree, which then decides on all CPU nodes as in
 * update_cpus_node() of arch/powerpc/kexec/core_64.c, or is made after the node of another CPU. A removed CPU's node stays, as the kernel leaves
 * it, unless `pruneCpus` is set.
 *
 * @throws KdumpError `refused` when a CPU is removed that is not there, or a node cannot be made; `input` when the FDT's CPU nodes are damaged
 */
export function planCpus(image: KdumpImage, changes: readonly CpuChange[], options: CpuPlanOptions): CpuPlan {
  if (changes.length === 0) return { edits: [], effects: [], derived: [] };
  if (image.fdt === null) return { edits: [], effects: changes.map(() => ({ made: false, reason: '' })), derived: [] };
  return new CpuPlanner(image, options).plan(changes);
}

/** The CPU that new ones are made after, and its node without the phandles below it. */
interface Pattern {
  readonly cpu: Cpu;
  readonly node: NewNode;
}

class CpuPlanner {
  private readonly fdt;
  private readonly parent;
  private readonly before: readonly Cpu[];
  private cpus: PlannedCpus;
  /** By the name of the node, for those that are added in the end. */
  private readonly derived = new Map<string, DerivedProperty[]>();
  private readonly live: readonly LiveCpu[] | undefined;
  /** The live CPUs by id and by thread, the first of each. */
  private readonly liveById: ReadonlyMap<number, LiveCpu>;
  private foundPattern: Pattern | undefined;
  private liveTreeTaken = false;
  private liveTreeChanged = false;

  constructor(
    private readonly image: KdumpImage,
    private readonly options: CpuPlanOptions,
  ) {
    this.fdt = (image.fdt as NonNullable<KdumpImage['fdt']>).tree;
    this.parent = cpusNode(this.fdt);
    this.before = cpusOf(this.fdt, image.architecture);
    this.cpus = new PlannedCpus(this.before.map((cpu) => ({ id: cpu.id, threads: cpu.threads, name: cpu.node.name, existing: cpu })));
    const { deviceTree, compat } = options;
    this.live = deviceTree === undefined ? undefined : liveCpusOf(deviceTree, image.architecture, compat === 'linux');
    this.liveById = byId(this.live ?? []);
  }

  plan(changes: readonly CpuChange[]): CpuPlan {
    const effects = changes.map((change) => (change.action === 'add' ? this.add(change) : this.remove(change)));
    return { edits: this.edits(), effects, derived: [...this.derived.values()].flat() };
  }

  private add({ cpu }: CpuChange): ChangeEffect {
    if (this.live !== undefined) return this.addFromLiveTree(cpu.id, this.live, cpu.properties);
    const there = this.cpus.withId(cpu.id);
    if (there !== undefined) {
      if (cpu.properties !== undefined) return this.setProperties(there, cpu.properties);
      return { made: false, reason: `it is in the FDT already (${there.name})` };
    }
    this.cpus.add(this.cloned(cpu.id, cpu.properties));
    return MADE;
  }

  private remove({ cpu }: CpuChange): ChangeEffect {
    const there = this.cpus.withId(cpu.id);
    if (there === undefined) throw this.refused(`cannot remove CPU ${cpu.id}`, 'no such CPU in the FDT', `one of ${this.listed()}`);
    if (this.options.pruneCpus !== true)
      return { made: false, reason: `the node ${there.name} stays, as the kernel leaves it; --prune-cpus deletes it` };
    if (this.cpus.size === 1)
      throw this.refused(`cannot remove CPU ${cpu.id}`, 'the last CPU of the FDT', 'a CPU that the capture kernel can boot on');
    this.cpus.remove(there);
    this.derived.delete(there.name);
    this.liveTreeTaken = false;
    return MADE;
  }

  private setProperties(cpu: PlannedCpu, given: ReadonlyMap<string, Uint8Array>): ChangeEffect {
    const now = cpu.added?.properties ?? cpu.properties ?? cpu.existing?.node.properties() ?? [];
    const properties = overridden(now, given);
    if (sameProperties(now, properties)) return { made: false, reason: `it is in the FDT already (${cpu.name})` };
    const changed = cpu.added === undefined ? { ...cpu, properties } : { ...cpu, added: { ...cpu.added, properties } };
    this.cpus.replace(cpu, changed);
    return MADE;
  }

  /** All CPU nodes come to the live tree's state; others below /cpus stay. */
  private addFromLiveTree(id: number, live: readonly LiveCpu[], given: ReadonlyMap<string, Uint8Array> | undefined): ChangeEffect {
    const wanted = this.liveById.get(id);
    if (wanted === undefined) {
      throw this.refused(`cannot add CPU ${id}`, 'no such CPU in the live device tree', `one of ${live.map((cpu) => cpu.id).join(', ')}`);
    }
    if (!this.liveTreeTaken) this.takeLiveTree(live);
    const cpu = this.cpus.named(wanted.node.name);
    const withGiven = given !== undefined && cpu !== undefined ? this.setProperties(cpu, given).made : false;
    return this.liveTreeChanged || withGiven ? MADE : { made: false, reason: 'the CPU nodes are as in the live tree already' };
  }

  private takeLiveTree(live: readonly LiveCpu[]): void {
    const before = new Map([...this.cpus].map((cpu) => [cpu.name, cpu]));
    const cpus = live.map((cpu) => {
      const there = before.get(cpu.node.name);
      return there?.existing === undefined ? addedFrom(cpu) : this.updated(there, there.existing, cpu);
    });
    this.liveTreeTaken = true;
    this.liveTreeChanged = cpus.length !== before.size || cpus.some((cpu) => before.get(cpu.name) !== cpu);
    this.cpus = new PlannedCpus(cpus);
  }

  private updated(there: PlannedCpu, existing: Cpu, cpu: LiveCpu): PlannedCpu {
    const live = cpu.properties;
    const now = there.properties ?? existing.node.properties();
    const name = now.find((property) => property.name === 'name');
    const wanted = name === undefined || live.some((property) => property.name === 'name') ? live : [...live, name];
    if (sameProperties(now, wanted)) return there;
    return { ...there, id: cpu.id, threads: cpu.threads, properties: inOrderOf(now, wanted) };
  }

  private cloned(thread: number, given: ReadonlyMap<string, Uint8Array> | undefined): PlannedCpu {
    const { cpuThreadsProperty } = this.image.architecture;
    const { cpu: pattern, node } = (this.foundPattern ??= this.patternFor(thread));
    const id = this.makesCores ? thread - (thread % pattern.threads.length) : thread;
    const at = node.name.lastIndexOf('@');
    const base = at < 0 ? node.name : node.name.slice(0, at);
    const name = `${base}@${id.toString(16)}`;
    this.note(name, 'unit address', 'the CPU id');
    const properties: FdtProperty[] = [];
    for (const property of node.properties) {
      const value = given?.get(property.name);
      if (value !== undefined) properties.push({ name: property.name, value });
      else if (PHANDLES.includes(property.name)) this.note(name, property.name, 'left out: nothing refers to the new node');
      else properties.push(this.clonedProperty(property, { name, base, id, pattern }));
    }
    const present = new Set(properties.map((property) => property.name));
    for (const [property, value] of given ?? []) if (!present.has(property)) properties.push({ name: property, value });
    this.note(name, 'all others', `copied from ${node.name}`);
    const threads = cpuThreadsProperty === undefined ? [id] : pattern.threads.map((each) => each - pattern.id + id);
    return { id, threads, name, added: { name, properties, children: node.children } };
  }

  /** Whether an id stands for the core that its thread is in. */
  private get makesCores(): boolean {
    return this.image.architecture.cpuCloning?.coresByFirstThread === true;
  }

  /** The CPU that new ones are made after. @throws KdumpError `refused` when there is none, or none can be numbered like it */
  private patternFor(thread: number): Pattern {
    const pattern = this.before.reduce<Cpu | undefined>((best, cpu) => (best === undefined || cpu.id > best.id ? cpu : best), undefined);
    if (pattern === undefined) throw this.refused(`cannot add CPU ${thread}`, 'no CPU node to make it after', 'one', 'give --device-tree');
    const count = pattern.threads.length;
    if (this.makesCores && this.before.some((cpu) => cpu.id % count !== 0)) {
      throw this.refused(
        `cannot add CPU ${thread}`,
        `CPU ids that are not multiples of ${count}, the threads of a core`,
        'such multiples',
        'give --device-tree',
      );
    }
    const node = newNodeFrom(pattern.node);
    return { cpu: pattern, node: { ...node, children: (node.children ?? []).map(withoutPhandles) } };
  }

  private clonedProperty(
    property: FdtProperty,
    { name, base, id, pattern }: { name: string; base: string; id: number; pattern: Cpu },
  ): FdtProperty {
    if (property.name === 'reg') {
      this.note(name, 'reg', 'the CPU id');
      return { name: 'reg', value: encodeCells([BigInt(id)], addressCells(this.parent)) };
    }
    if (property.name === 'name') {
      // The node name without the unit address (Devicetree specification, section 2.3.11).
      this.note(name, 'name', 'the name of the node');
      return { name: 'name', value: Buffer.from(`${base}\0`, 'latin1') };
    }
    const derived = this.image.architecture.cpuCloning?.derive(property, pattern, id, this.parent);
    if (derived === undefined) return property;
    this.note(name, property.name, derived.derived);
    return { name: property.name, value: derived.value };
  }

  private note(node: string, property: string, how: string): void {
    const there = this.derived.get(node);
    if (there === undefined) this.derived.set(node, [{ node, property, how }]);
    else there.push({ node, property, how });
  }

  private edits(): FdtEdit[] {
    const kept = new Set([...this.cpus].map(({ existing }) => existing));
    const edits: FdtEdit[] = this.before.filter((cpu) => !kept.has(cpu)).map(({ node }) => ({ kind: 'removeNode', node }));
    const last = this.before.at(-1)?.node;
    for (const { existing, properties, added } of this.cpus) {
      if (added !== undefined) edits.push({ kind: 'addNode', parent: this.parent, after: last, node: added });
      else if (existing !== undefined && properties !== undefined)
        edits.push({ kind: 'replaceProperties', node: existing.node, properties });
    }
    return edits;
  }

  private listed(): string {
    return [...this.cpus]
      .flatMap((cpu) => cpu.threads)
      .slice(0, 16)
      .join(', ');
  }

  private refused(problem: string, found: string, expected: string, remedy?: string): KdumpError {
    return new KdumpError('refused', problem, { segment: 'fdt', found, expected, ...(remedy === undefined ? {} : { remedy }) });
  }
}

function byId(cpus: readonly LiveCpu[]): Map<number, LiveCpu> {
  const result = new Map<number, LiveCpu>();
  for (const cpu of cpus) for (const id of [...cpu.threads, cpu.id]) if (!result.has(id)) result.set(id, cpu);
  return result;
}

function addedFrom(cpu: LiveCpu): PlannedCpu {
  return {
    id: cpu.id,
    threads: cpu.threads,
    name: cpu.node.name,
    added: { name: cpu.node.name, properties: cpu.properties, children: cpu.node.children.map(withoutMadeUpName) },
  };
}

function withoutPhandles(node: NewNode): NewNode {
  return {
    name: node.name,
    properties: node.properties.filter(({ name }) => !PHANDLES.includes(name)),
    children: (node.children ?? []).map(withoutPhandles),
  };
}

function withoutMadeUpName(node: DeviceTreeNode): NewNode {
  return {
    name: node.name,
    properties: [...node.properties].filter(([name]) => name !== 'name').map(([name, value]) => ({ name, value })),
    children: node.children.map(withoutMadeUpName),
  };
}

function overridden(properties: readonly FdtProperty[], given: ReadonlyMap<string, Uint8Array>): FdtProperty[] {
  const kept = properties.map((property) => ({ name: property.name, value: given.get(property.name) ?? property.value }));
  const present = new Set(properties.map(({ name }) => name));
  const added = [...given].filter(([name]) => !present.has(name)).map(([name, value]) => ({ name, value }));
  return [...kept, ...added];
}

/** `wanted`, those that are in `order` first and as they come there. */
function inOrderOf(order: readonly FdtProperty[], wanted: readonly FdtProperty[]): FdtProperty[] {
  const byName = new Map(wanted.map((property) => [property.name, property]));
  const kept = new Set(order.flatMap(({ name }) => byName.get(name) ?? []));
  return [...kept, ...wanted.filter((property) => !kept.has(property))];
}
