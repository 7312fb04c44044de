import { KdumpError } from '../errors.js';
import { ADDRESS_SPACE_END, byStart, type Range } from '../memory/range.js';
import { OddNumber, type JsonValue } from '../text/strict-json.js';
import { arrayOf, objectOf, type Qmp } from './qmp.js';

/** A DIMM that is plugged in. */
export interface Dimm {
  readonly id: string;
  readonly range: Range;
}

/** A CPU or core that is plugged in. */
export interface PluggedCpu {
  /** `core-id`, where QEMU counts cores by it alone, as on pseries: the `reg` of the core's node. */
  readonly coreId: number;
  readonly threads: number;
}

export interface GuestDevices {
  readonly dimms: readonly Dimm[];
  /** null where QEMU does not tell CPUs by the ids of their nodes. */
  readonly cpus: readonly PluggedCpu[] | null;
  /** Devices that hold memory of which the guest alone knows how much it uses. */
  readonly unclear: readonly string[];
}

/**
 * Memory and CPUs that a guest has, by `query-memory-devices` and `query-hotpluggable-cpus`.
 *
 * @throws KdumpError `io` when QEMU does not answer as documented
 */
export async function devicesOf(qmp: Qmp): Promise<GuestDevices> {
  const dimms: Dimm[] = [];
  const unclear: string[] = [];
  for (const device of arrayOf(await qmp.execute('query-memory-devices')).map(objectOf)) {
    const data = objectOf(device.get('data'));
    const type = device.get('type');
    const id = data.get('id');
    const name = typeof id === 'string' ? id : '(no id)';
    if (type === 'dimm') {
      const [start, size] = [integer(data.get('addr')), integer(data.get('size'))];
      if (start === undefined || size === undefined || size === 0n || start + size > ADDRESS_SPACE_END)
        throw unexpected(qmp, 'query-memory-devices');
      dimms.push({ id: name, range: { start, end: start + size } });
    } else if (type === 'virtio-mem') unclear.push(name);
  }
  dimms.sort((a, b) => byStart(a.range, b.range));
  return { dimms, cpus: await cpusOf(qmp), unclear };
}

async function cpusOf(qmp: Qmp): Promise<PluggedCpu[] | null> {
  let slots: readonly JsonValue[];
  try {
    slots = arrayOf(await qmp.execute('query-hotpluggable-cpus'));
  } catch (error) {
    // Machines without CPU hotplug.
    if (error instanceof KdumpError && error.problem.startsWith('QEMU refused')) return null;
    throw error;
  }
  const cpus: PluggedCpu[] = [];
  for (const slot of slots.map(objectOf)) {
    const props = objectOf(slot.get('props'));
    const [coreId, threads] = [props.get('core-id'), slot.get('vcpus-count')];
    const type = slot.get('type');
    // spapr numbers cores as firmware does; elsewhere ids are places in a topology.
    if (typeof type !== 'string' || !type.endsWith('-spapr-cpu-core')) return null;
    if (typeof coreId !== 'number' || typeof threads !== 'number') throw unexpected(qmp, 'query-hotpluggable-cpus');
    if (slot.has('qom-path')) cpus.push({ coreId, threads });
  }
  // There is no guest without a CPU.
  return cpus.length === 0 ? null : cpus.sort((a, b) => a.coreId - b.coreId);
}

function integer(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'number' && value >= 0) return BigInt(value);
  return value instanceof OddNumber && /^[0-9]{1,20}$/.test(value.text) ? BigInt(value.text) : undefined;
}

function unexpected(qmp: Qmp, command: string): KdumpError {
  return new KdumpError('io', `QEMU answers ${command} in a way that this program does not know`, { code: 'monitor', file: qmp.path });
}
