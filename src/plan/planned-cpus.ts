import type { NewNode } from '../fdt/edit/edit.js';
import type { FdtProperty } from '../fdt/fdt.js';
import type { Cpu } from '../arch/cpu-cloning.js';

/** A CPU node as it will be; `existing` is the one in the FDT, `added` a new one. */
export interface PlannedCpu {
  readonly id: number;
  readonly threads: readonly number[];
  readonly name: string;
  readonly existing?: Cpu;
  readonly properties?: readonly FdtProperty[];
  readonly added?: NewNode;
}

/** The CPU nodes as they will be, in their order. A change file may have 100,000 changes, so none of them goes through the whole list. */
export class PlannedCpus {
  /** By a number that stays with a CPU while it is exchanged for a changed one; ascending numbers are the order. */
  private readonly cpus = new Map<number, PlannedCpu>();
  /** Places by id, ascending. */
  private readonly byId = new Map<number, number[]>();
  private nextPlace = 0;

  constructor(cpus: Iterable<PlannedCpu>) {
    for (const cpu of cpus) this.add(cpu);
  }

  get size(): number {
    return this.cpus.size;
  }

  [Symbol.iterator](): IterableIterator<PlannedCpu> {
    return this.cpus.values();
  }

  /** Puts `cpu` behind all others. */
  add(cpu: PlannedCpu): void {
    const place = this.nextPlace;
    this.cpus.set(place, cpu);
    const places = this.byId.get(cpu.id);
    if (places === undefined) this.byId.set(cpu.id, [place]);
    else places.push(place);
    this.nextPlace += 1;
  }

  /** Puts `changed` in the place of `cpu`. It has the same id. */
  replace(cpu: PlannedCpu, changed: PlannedCpu): void {
    for (const place of this.placesOf(cpu)) this.cpus.set(place, changed);
  }

  remove(cpu: PlannedCpu): void {
    for (const place of this.placesOf(cpu)) {
      this.cpus.delete(place);
      const left = (this.byId.get(cpu.id) ?? []).filter((each) => each !== place);
      if (left.length === 0) this.byId.delete(cpu.id);
      else this.byId.set(cpu.id, left);
    }
  }

  /** The first CPU with this id; one of a thread is no CPU here. */
  withId(id: number): PlannedCpu | undefined {
    const [first] = this.byId.get(id) ?? [];
    return first === undefined ? undefined : this.cpus.get(first);
  }

  /** A live tree may have one node twice. */
  private placesOf(cpu: PlannedCpu): number[] {
    return (this.byId.get(cpu.id) ?? []).filter((place) => this.cpus.get(place) === cpu);
  }
}
