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
  /** Places by id and by thread, ascending. */
  private readonly byId = new Map<number, number[]>();
  private readonly byName = new Map<string, number[]>();
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
    for (const id of idsOf(cpu)) addTo(this.byId, id, place);
    addTo(this.byName, cpu.name, place);
    this.nextPlace += 1;
  }

  /** Puts `changed` in the place of `cpu`. It has the same name, id and threads. */
  replace(cpu: PlannedCpu, changed: PlannedCpu): void {
    for (const place of this.placesOf(cpu)) this.cpus.set(place, changed);
  }

  remove(cpu: PlannedCpu): void {
    for (const place of this.placesOf(cpu)) {
      this.cpus.delete(place);
      for (const id of idsOf(cpu)) removeFrom(this.byId, id, place);
      removeFrom(this.byName, cpu.name, place);
    }
  }

  /** The first CPU that has `id` as its own or as that of a thread. */
  withId(id: number): PlannedCpu | undefined {
    return this.at(this.byId.get(id));
  }

  /** The first CPU whose node is called `name`. */
  named(name: string): PlannedCpu | undefined {
    return this.at(this.byName.get(name));
  }

  private at(places: readonly number[] | undefined): PlannedCpu | undefined {
    const [first] = places ?? [];
    return first === undefined ? undefined : this.cpus.get(first);
  }

  /** A live tree may have one node twice. */
  private placesOf(cpu: PlannedCpu): number[] {
    return (this.byName.get(cpu.name) ?? []).filter((place) => this.cpus.get(place) === cpu);
  }
}

function idsOf({ id, threads }: PlannedCpu): Set<number> {
  return new Set([...threads, id]);
}

function addTo<Key>(places: Map<Key, number[]>, key: Key, place: number): void {
  const list = places.get(key);
  if (list === undefined) places.set(key, [place]);
  else list.push(place);
}

function removeFrom<Key>(places: Map<Key, number[]>, key: Key, place: number): void {
  const left = (places.get(key) as number[]).filter((each) => each !== place);
  if (left.length === 0) places.delete(key);
  else places.set(key, left);
}
