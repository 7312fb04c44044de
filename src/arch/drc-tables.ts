import { KdumpError } from '../errors.js';
import { stringList, u32At } from '../fdt/cells.js';

type PropertyReader = (name: string) => Uint8Array | undefined;

/** Connectors of CPUs, by which firmware adds and removes them. A table may state billions of them, so they are looked up, not listed. */
export interface CpuConnectors {
  /** Name of the connector with this index. */
  readonly nameOf: (index: number) => string | undefined;
  readonly indexOf: (name: string) => number | undefined;
}

/** A CPU node that is there: its id, and its `ibm,my-drc-index`. */
export interface ConnectedCpu {
  readonly id: number;
  readonly index: number;
}

const CPU = 'CPU';

/**
 * The connectors of CPUs that a node lists: in `ibm,drc-info`, or in `ibm,drc-indexes`, `ibm,drc-names` and `ibm,drc-types` (PAPR+ section
 * 13.5.2). None where a table is missing. The kernel looks at them in this order, too (arch/powerpc/platforms/pseries/pseries_energy.c).
 *
 * @throws KdumpError `input` when a table is damaged, or has not as many entries as the others
 */
export function cpuConnectorsOf(property: PropertyReader): CpuConnectors {
  const info = property('ibm,drc-info');
  return info === undefined ? listed(property) : inRuns(runsOf(info));
}

/** Each table begins with the number of its entries. */
function listed(property: PropertyReader): CpuConnectors {
  const names = new Map<number, string>();
  const indexes = new Map<string, number>();
  const [indexTable, nameTable, typeTable] = [property('ibm,drc-indexes'), property('ibm,drc-names'), property('ibm,drc-types')];
  if (indexTable !== undefined && nameTable !== undefined && typeTable !== undefined) {
    const [nameList, typeList] = [stringList(nameTable.subarray(4)), stringList(typeTable.subarray(4))];
    const count = u32At(indexTable, 0);
    const agree =
      indexTable.length === 4 * (count + 1) &&
      [nameTable, typeTable].every((table) => u32At(table, 0) === count) &&
      nameList.length === count &&
      typeList.length === count;
    if (!agree) {
      throw new KdumpError('input', 'the tables of connectors do not agree', {
        found: `${indexTable.length / 4 - 1} indexes, ${nameList.length} names, ${typeList.length} types`,
        expected: `${count} of each`,
      });
    }
    for (const [at, name] of nameList.entries()) {
      if (typeList[at] !== CPU) continue;
      const index = u32At(indexTable, at + 1);
      names.set(index, name);
      indexes.set(name, index);
    }
  }
  return { nameOf: (index) => names.get(index), indexOf: (name) => indexes.get(name) };
}

/** Connectors whose indexes and numbers go up in the same steps. */
interface Run {
  readonly type: string;
  readonly prefix: string;
  readonly index: number;
  readonly number: number;
  readonly count: number;
  readonly step: number;
}

/** Each entry stands for many connectors, and is looked at for each CPU that comes. */
const MOST_RUNS = 1024;

/**
 * `ibm,drc-info`: the number of entries, then of each its type, the prefix of its names, the first index, the first number behind the prefix, how
 * many follow each other, the step from one to the next, and the power domain (of_read_drc_info_cell in arch/powerpc/platforms/pseries/of_helpers.c).
 */
function runsOf(info: Uint8Array): Run[] {
  const bytes = Buffer.from(info.buffer, info.byteOffset, info.length);
  let at = 0;
  const word = (): number => {
    if (at + 4 > bytes.length) throw cutShort(bytes.length);
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const nul = bytes.indexOf(0, at);
    if (nul < 0) throw cutShort(bytes.length);
    const start = at;
    at = nul + 1;
    return bytes.toString('latin1', start, nul);
  };
  const runs: Run[] = [];
  const count = word();
  if (count > MOST_RUNS) {
    throw new KdumpError('input', 'ibm,drc-info has too many entries', { found: String(count), expected: `at most ${MOST_RUNS}` });
  }
  for (let left = count; left > 0; left -= 1) {
    runs.push({ type: text(), prefix: text(), index: word(), number: word(), count: word(), step: word() });
    word();
  }
  return runs;
}

function cutShort(length: number): KdumpError {
  return new KdumpError('input', 'ibm,drc-info is cut short', {
    found: `${length} bytes`,
    expected: 'all of the entries that it begins with',
  });
}

function inRuns(runs: readonly Run[]): CpuConnectors {
  const cpus = runs.filter(({ type }) => type === CPU);
  /** How far into the run `distance` is. */
  const placeIn = ({ count, step }: Run, distance: number): number | undefined => {
    const place = step === 0 ? (distance === 0 ? 0 : -1) : distance / step;
    return Number.isInteger(place) && place >= 0 && place < count ? place : undefined;
  };
  return {
    nameOf: (index) => {
      const run = cpus.find((each) => placeIn(each, index - each.index) !== undefined);
      return run === undefined ? undefined : `${run.prefix}${run.number + index - run.index}`;
    },
    indexOf: (name) => {
      for (const run of cpus) {
        const digits = name.startsWith(run.prefix) ? name.slice(run.prefix.length) : '';
        const distance = Number(digits) - run.number;
        if (/^(?:0|[1-9][0-9]{0,9})$/.test(digits) && placeIn(run, distance) !== undefined) return run.index + distance;
      }
      return undefined;
    },
  };
}

/** How the connectors of a machine's CPUs follow from their ids, as far as the CPUs that are there show it. */
export interface CpuNumbering {
  /** The connector of the CPU with this id, and how that is known. */
  readonly connectorOf: (id: number) => { readonly index: number; readonly how: string } | undefined;
  /** The id of the CPU with this connector. */
  readonly idOf: (index: number) => number | undefined;
}

/**
 * Connectors are named `CPU <id>` (QEMU); or else, as on PowerVM, where names count in another way, lie as far from the id as those of all nodes
 * that are there, two at least, as long as a table lists them all.
 */
export function cpuNumbering(connectors: CpuConnectors, there: readonly ConnectedCpu[]): CpuNumbering {
  const isNamed = there.length > 0 && there.every(({ id, index }) => connectors.nameOf(index) === `CPU ${id}`);
  const distances = new Set(there.map(({ id, index }) => index - id));
  const isListed = (index: number): boolean => connectors.nameOf(index) !== undefined;
  // One alone agrees with anything.
  const agree = there.length > 1 && distances.size === 1 && there.every(({ index }) => isListed(index));
  const [distance] = agree ? distances : [];
  return {
    connectorOf: (id) => {
      const named = isNamed ? connectors.indexOf(`CPU ${id}`) : undefined;
      if (named !== undefined) return { index: named, how: 'the connector of this CPU in the DRC tables of /cpus' };
      if (distance === undefined || !isListed(id + distance)) return undefined;
      return { index: id + distance, how: 'as far from the id as those of all other CPUs, and in the DRC tables of /cpus' };
    },
    idOf: (index) => {
      const named = isNamed ? /^CPU ([0-9]{1,9})$/.exec(connectors.nameOf(index) ?? '')?.[1] : undefined;
      if (named !== undefined) return Number(named);
      return distance === undefined || !isListed(index) || index < distance ? undefined : index - distance;
    },
  };
}
