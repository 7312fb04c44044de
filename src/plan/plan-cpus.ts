import { equalBytes } from '../bytes/compare.js';
import { KdumpError } from '../errors.js';
import { encodeCells } from '../fdt/cells.js';
import { newNodeFrom, type FdtEdit, type NewNode } from '../fdt/edit/edit.js';
import type { FdtProperty } from '../fdt/fdt.js';
import type { KdumpImage } from '../image/image.js';
import type { CpuChange } from '../machine/change.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../machine/device-tree.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { addressCells, coreIds, cpusNode, cpusOf } from '../description/cpus.js';
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
  /** The CPU nodes as they will be; none without an FDT, or without changes. */
  readonly cpus: readonly PlannedCpu[];
}

/** Properties that tell where a CPU is: its neighbours share some of them, and a copy may be wrong. */
const PLACES = ['ibm,associativity', 'l2-cache', 'l3-cache', 'next-level-cache', 'numa-node-id', 'ibm,pir', 'cpu-release-addr'];
const PHANDLES = ['phandle', 'linux,phandle', 'ibm,phandle'];

/**
 * The edits of the FDT that CPU changes come to. All ids mean cores of the tree as it is before the first change, so that ids of threads of one
 * core mean that core, once. An added CPU's node comes from the live tree, which then decides on all CPU nodes as in
 * update_cpus_node() of arch/powerpc/kexec/core_64.c, or is made after the node of another CPU. A removed CPU's node stays, as the kernel leaves
 * it, unless `pruneCpus` is set.
 *
 * @throws KdumpError `refused` when a CPU is removed that is not there, or a node cannot be made; `input` when the FDT's CPU nodes are damaged
 */
export function planCpus(image: KdumpImage, changes: readonly CpuChange[], options: CpuPlanOptions): CpuPlan {
  if (changes.length === 0) return { edits: [], effects: [], derived: [], cpus: [] };
  if (image.fdt === null) return { edits: [], effects: changes.map(() => ({ made: false, reason: '' })), derived: [], cpus: [] };
  return new CpuPlanner(image, options).plan(changes);
}

/** The CPU that new ones are made after, and its node without the phandles below it. */
interface Template {
  readonly cpu: Cpu;
  readonly node: NewNode;
  /** Names of properties of which a copy may be wrong: they tell a place, or differ between the CPUs that are there. */
  readonly uncertain: ReadonlySet<string>;
}

class CpuPlanner {
  private readonly fdt;
  private readonly parent;
  private readonly before: readonly Cpu[];
  private cpus: PlannedCpus;
  /** The id of the core that the id of a change means, in the tree as it is before any of them. */
  private readonly coreOf: (id: number) => number;
  /** Ids of the cores that are there, or were at some point. */
  private readonly seen: Set<number>;
  /** By the name of the node, for those that are added in the end. */
  private readonly derived = new Map<string, DerivedProperty[]>();
  private readonly live: readonly LiveCpu[] | undefined;
  /** The live CPUs by id and by thread, the first of each. */
  private readonly liveById: ReadonlyMap<number, LiveCpu>;
  private foundTemplate: Template | undefined;
  private liveTreeTaken = false;
  private liveTreeChanged = false;

  private readonly image: KdumpImage;
  private readonly options: CpuPlanOptions;

  constructor(image: KdumpImage, options: CpuPlanOptions) {
    this.image = image;
    this.options = options;
    this.fdt = (image.fdt as NonNullable<KdumpImage['fdt']>).tree;
    this.parent = cpusNode(this.fdt);
    this.before = cpusOf(this.fdt, image.architecture);
    this.coreOf = coreIds(this.before, image.architecture);
    this.seen = new Set(this.before.map(({ id }) => id));
    this.cpus = new PlannedCpus(this.before.map((cpu) => ({ id: cpu.id, threads: cpu.threads, name: cpu.node.name, existing: cpu })));
    const { deviceTree, compat } = options;
    this.live = deviceTree === undefined ? undefined : liveCpusOf(deviceTree, image.architecture, compat === 'linux');
    this.liveById = byId(this.live ?? []);
  }

  plan(changes: readonly CpuChange[]): CpuPlan {
    const steps = changes.map((change) => ({ change, core: this.coreOfChange(change) }));
    const effects = steps.map(({ change, core }) => (change.action === 'add' ? this.add(change, core) : this.remove(change, core)));
    const removed = changes.findLast(({ action }) => action === 'remove');
    if (removed !== undefined && this.cpus.size === 0 && this.before.length > 0) {
      const problem = `cannot remove CPU ${removed.cpu.id}`;
      throw this.refused(problem, 'the last CPU of the FDT', 'a CPU that the capture kernel can boot on');
    }
    return {
      edits: this.edits(),
      effects: this.inTheEnd(steps, effects),
      derived: [...this.derived.values()].flat(),
      cpus: [...this.cpus],
    };
  }

  private coreOfChange({ action, cpu: { id } }: CpuChange): number {
    const inFdt = this.coreOf(id);
    if (this.live === undefined || (action === 'remove' && this.seen.has(inFdt))) return inFdt;
    const live = this.liveById.get(id);
    if (live !== undefined || action === 'remove') return live?.id ?? inFdt;
    throw this.refused(
      `cannot add CPU ${id}`,
      'no such CPU in the live device tree',
      `one of ${this.live.map((cpu) => cpu.id).join(', ')}`,
    );
  }

  private add({ cpu: { id, properties } }: CpuChange, core: number): ChangeEffect {
    if (this.live !== undefined) return this.addFromLiveTree(core, this.live, properties);
    const there = this.cpus.withId(core);
    if (there === undefined) {
      this.seen.add(core);
      this.cpus.add(this.cloned(id, core, properties));
      return MADE;
    }
    const isSet = properties !== undefined && this.setProperties(there, properties);
    return isSet || there.added !== undefined ? MADE : { made: false, reason: `it is in the FDT already (${there.name})` };
  }

  private remove({ cpu: { id } }: CpuChange, core: number): ChangeEffect {
    if (!this.seen.has(core)) throw this.refused(`cannot remove CPU ${id}`, 'no such CPU in the FDT', `one of ${this.listed()}`);
    // None is left where the core went with another of its threads; a damaged tree may describe it twice.
    for (let there = this.cpus.withId(core); there !== undefined; there = this.cpus.withId(core)) {
      if (this.options.pruneCpus !== true)
        return { made: false, reason: `the node ${there.name} stays, as the kernel leaves it; --prune-cpus deletes it` };
      this.cpus.remove(there);
      this.derived.delete(there.name);
      this.liveTreeTaken = false;
    }
    return MADE;
  }

  /** What became of each change in the end: the live tree, which comes with an added CPU, decides on all others, too. */
  private inTheEnd(steps: readonly { change: CpuChange; core: number }[], effects: readonly ChangeEffect[]): ChangeEffect[] {
    const last = new Map(steps.map(({ core }, index) => [core, index]));
    const removedLast = (core: number): boolean => steps[last.get(core) ?? -1]?.change.action === 'remove';
    return steps.map(({ change, core }, index) => {
      const effect = effects[index] as ChangeEffect;
      if (change.action === 'add' || !removedLast(core)) return effect;
      const there = this.cpus.withId(core);
      if (there === undefined) return MADE;
      return effect.made
        ? { made: false, reason: `the live device tree has it (${there.name}), and an added CPU brings all of its CPUs` }
        : effect;
    });
  }

  /** Whether that changes anything. */
  private setProperties(cpu: PlannedCpu, given: ReadonlyMap<string, Uint8Array>): boolean {
    const now = cpu.added?.properties ?? cpu.properties ?? cpu.existing?.node.properties() ?? [];
    const properties = overridden(now, given);
    if (sameProperties(now, properties)) return false;
    const changed = cpu.added === undefined ? { ...cpu, properties } : { ...cpu, added: { ...cpu.added, properties } };
    this.cpus.replace(cpu, changed);
    return true;
  }

  /** All CPU nodes come to the live tree's state; others below /cpus stay. */
  private addFromLiveTree(core: number, live: readonly LiveCpu[], given: ReadonlyMap<string, Uint8Array> | undefined): ChangeEffect {
    if (!this.liveTreeTaken) this.takeLiveTree(live);
    const cpu = this.cpus.withId(core);
    const isSet = given !== undefined && cpu !== undefined && this.setProperties(cpu, given);
    return this.liveTreeChanged || isSet ? MADE : { made: false, reason: 'the CPU nodes are as in the live tree already' };
  }

  private takeLiveTree(live: readonly LiveCpu[]): void {
    const before = new Map([...this.cpus].map((cpu) => [cpu.name, cpu]));
    const cpus = live.map((cpu) => {
      const there = before.get(cpu.node.name);
      return there?.existing === undefined ? addedFrom(cpu) : this.updated(there, there.existing, cpu);
    });
    for (const { id } of live) this.seen.add(id);
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

  private cloned(thread: number, id: number, given: ReadonlyMap<string, Uint8Array> | undefined): PlannedCpu {
    const { cpuThreadsProperty } = this.image.architecture;
    const { cpu: template, node, uncertain } = (this.foundTemplate ??= this.templateFor(thread));
    const at = node.name.lastIndexOf('@');
    const base = at < 0 ? node.name : node.name.slice(0, at);
    const name = `${base}@${id.toString(16)}`;
    this.note(name, 'unit address', 'the CPU id');
    const properties: FdtProperty[] = [];
    for (const property of node.properties) {
      const value = given?.get(property.name);
      if (value !== undefined) properties.push({ name: property.name, value });
      else if (PHANDLES.includes(property.name)) this.note(name, property.name, 'left out: nothing refers to the new node');
      else {
        const cloned = this.clonedProperty(property, { name, base, id, template });
        if (cloned === property && uncertain.has(property.name))
          this.note(name, property.name, `copied from ${node.name}, and may have to differ`);
        properties.push(cloned);
      }
    }
    const present = new Set(properties.map((property) => property.name));
    for (const [property, value] of given ?? []) if (!present.has(property)) properties.push({ name: property, value });
    this.note(name, 'all others', `copied from ${node.name}`);
    const threads = cpuThreadsProperty === undefined ? [id] : template.threads.map((each) => each - template.id + id);
    return { id, threads, name, added: { name, properties, children: node.children } };
  }

  /** The CPU that new ones are made after. @throws KdumpError `refused` when there is none, or none can be numbered like it */
  private templateFor(thread: number): Template {
    const template = this.before.reduce<Cpu | undefined>((best, cpu) => (best === undefined || cpu.id > best.id ? cpu : best), undefined);
    if (template === undefined) throw this.refused(`cannot add CPU ${thread}`, 'no CPU node to make it after', 'one', 'give --device-tree');
    const count = template.threads.length;
    if (this.image.architecture.cpuCloning?.coresByFirstThread === true && this.before.some((cpu) => cpu.id % count !== 0)) {
      throw this.refused(
        `cannot add CPU ${thread}`,
        `CPU ids that are not multiples of ${count}, the threads of a core`,
        'such multiples',
        'give --device-tree',
      );
    }
    const node = newNodeFrom(template.node);
    const differs = ({ name, value }: FdtProperty): boolean =>
      this.before.some((cpu) => {
        const other = cpu.node.property(name);
        return other === undefined || !equalBytes(other, value);
      });
    const uncertain = new Set(node.properties.filter((each) => PLACES.includes(each.name) || differs(each)).map(({ name }) => name));
    return { cpu: template, node: { ...node, children: (node.children ?? []).map(withoutPhandles) }, uncertain };
  }

  private clonedProperty(
    property: FdtProperty,
    { name, base, id, template }: { name: string; base: string; id: number; template: Cpu },
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
    const derived = this.image.architecture.cpuCloning?.derive(property, template, id, this.parent);
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
