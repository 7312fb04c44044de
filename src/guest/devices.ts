import { KdumpError } from '../errors.js';
import type { NodeRange } from '../memory/node-ranges.js';
import { ADDRESS_SPACE_END, byStart, type Range } from '../memory/range.js';
import { OddNumber, type JsonObject, type JsonValue } from '../text/strict-json.js';
import { mappedRanges } from './flat-view.js';
import { objectOf, type Qmp } from './qmp.js';

/** A DIMM that is plugged in. It stays one until the guest has let go of it, also while it is being unplugged. */
export interface Dimm {
  readonly id: string;
  readonly range: Range;
  /** The guest's NUMA node that it is in; undefined where QEMU does not tell. */
  readonly node: number | undefined;
}

/** A device of whose memory the guest alone knows how much it uses, and which part: virtio-mem, or a kind that this program does not know. */
export interface UnclearDevice {
  readonly id: string;
  /** As QEMU calls it. */
  readonly kind: string;
  /** Where its memory can be; null where QEMU does not tell. */
  readonly range: Range | null;
  /** Bytes that are plugged in; null where QEMU does not tell. */
  readonly plugged: bigint | null;
}

/** A CPU or core that is plugged in. */
export interface PluggedCpu {
  /** The `reg` of the core's node. */
  readonly id: number;
  readonly threads: number;
}

export interface CpuSlots {
  readonly plugged: readonly PluggedCpu[];
  /** Ids of cores that could be plugged in, and are not. */
  readonly free: readonly number[];
}

export interface GuestDevices {
  readonly dimms: readonly Dimm[];
  readonly unclear: readonly UnclearDevice[];
  /** Ranges of devices that are no RAM, unless the guest makes it so: NVDIMM and the like. */
  readonly noRam: readonly Range[];
  /** Every address that has anything behind it, RAM at boot included; null where QEMU does not tell. */
  readonly mapped: readonly Range[] | null;
  /** null where QEMU does not tell CPUs by the ids of their nodes. */
  readonly cpus: CpuSlots | null;
}

/** MemoryDeviceInfoKind of qapi/machine.json, what of it is no RAM. */
const NO_RAM = new Set(['nvdimm', 'virtio-pmem', 'sgx-epc']);

/**
 * Memory and CPUs that a guest has, by `query-memory-devices`, `query-hotpluggable-cpus` and `info mtree -f`. An answer that is not whole is
 * refused: what is missing in it is not gone.
 *
 * @throws KdumpError `io` when QEMU does not answer as documented
 */
export async function devicesOf(qmp: Qmp): Promise<GuestDevices> {
  const dimms: Dimm[] = [];
  const unclear: UnclearDevice[] = [];
  const noRam: Range[] = [];
  const devices = listOf(qmp, 'query-memory-devices', await qmp.execute('query-memory-devices'));
  for (const device of devices) {
    const data = objectOf(device.get('data'));
    const [kind, id] = [device.get('type'), data.get('id')];
    if (typeof kind !== 'string') throw unexpected(qmp, 'query-memory-devices');
    const name = typeof id === 'string' ? id : '(no id)';
    const start = integer(data.get('addr')) ?? integer(data.get('memaddr'));
    const size = integer(data.get('size'));
    if (kind === 'dimm' || NO_RAM.has(kind)) {
      const range = rangeOf(start, size);
      if (range === null) throw unexpected(qmp, 'query-memory-devices');
      const node = data.get('node');
      if (kind === 'dimm') dimms.push({ id: name, range, node: typeof node === 'number' ? node : undefined });
      else noRam.push(range);
    } else unclear.push({ id: name, kind, range: rangeOf(start, integer(data.get('max-size'))), plugged: size ?? null });
  }
  dimms.sort((a, b) => byStart(a.range, b.range));
  // Asked for after the list, so that a device that comes in between is in neither as gone.
  const view = await answer(qmp, 'human-monitor-command', { 'command-line': 'info mtree -f' });
  return { dimms, unclear, noRam, mapped: typeof view === 'string' ? mappedRanges(view) : null, cpus: await cpusOf(qmp) };
}

/** The NUMA nodes of DIMMs, as planning asks for them: on pseries Linux numbers nodes as QEMU does. */
export function nodesOfDimms({ dimms }: Pick<GuestDevices, 'dimms'>): () => NodeRange[] {
  return () => dimms.flatMap(({ range, node }) => (node === undefined ? [] : [{ range, node }]));
}

async function cpusOf(qmp: Qmp): Promise<CpuSlots | null> {
  const list = await answer(qmp, 'query-hotpluggable-cpus');
  // Machines without CPU hotplug.
  if (list === undefined) return null;
  const plugged: PluggedCpu[] = [];
  const free: number[] = [];
  // Cores are numbered by their first thread, nodes with room for this many threads a core (spapr_vcpu_id in hw/ppc/spapr.c).
  const stride = await answer(qmp, 'qom-get', { path: '/machine', property: 'vsmt' });
  for (const slot of listOf(qmp, 'query-hotpluggable-cpus', list)) {
    const props = objectOf(slot.get('props'));
    const [coreId, threads] = [props.get('core-id'), slot.get('vcpus-count')];
    const type = slot.get('type');
    // spapr numbers cores as firmware does; elsewhere ids are places in a topology.
    if (typeof type !== 'string' || !type.endsWith('-spapr-cpu-core')) return null;
    if (typeof coreId !== 'number' || typeof threads !== 'number' || threads < 1) throw unexpected(qmp, 'query-hotpluggable-cpus');
    const id = typeof stride === 'number' && stride > 0 ? Math.floor(coreId / threads) * stride : coreId;
    if (slot.has('qom-path')) plugged.push({ id, threads });
    else free.push(id);
  }
  // There is no guest without a CPU.
  return plugged.length === 0 ? null : { plugged: plugged.sort((a, b) => a.id - b.id), free };
}

/** undefined where QEMU refuses. */
async function answer(qmp: Qmp, command: string, given?: Readonly<Record<string, string>>): Promise<JsonValue | undefined> {
  try {
    return await qmp.execute(command, given);
  } catch (error) {
    if (error instanceof KdumpError && error.code === 'qemu-refused') return undefined;
    throw error;
  }
}

/** @throws KdumpError `io` where it is no list of objects */
function listOf(qmp: Qmp, command: string, value: JsonValue): JsonObject[] {
  if (!Array.isArray(value)) throw unexpected(qmp, command);
  return (value as readonly JsonValue[]).map((each) => {
    if (!(each instanceof Map)) throw unexpected(qmp, command);
    return each as JsonObject;
  });
}

function rangeOf(start: bigint | undefined, size: bigint | undefined): Range | null {
  if (start === undefined || size === undefined || size === 0n || start + size > ADDRESS_SPACE_END) return null;
  return { start, end: start + size };
}

function integer(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'number' && value >= 0) return BigInt(value);
  return value instanceof OddNumber && /^[0-9]{1,20}$/.test(value.text) ? BigInt(value.text) : undefined;
}

function unexpected(qmp: Qmp, command: string): KdumpError {
  return new KdumpError('io', `QEMU answers ${command} in a way that this program does not know`, { code: 'monitor', file: qmp.path });
}
