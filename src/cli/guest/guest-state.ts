import { compareGuest } from '../../guest/guest-changes.js';
import type { GuestDevices } from '../../guest/devices.js';
import type { KdumpImage } from '../../image/image.js';
import type { MachineState } from '../../machine/machine-state.js';
import { changesToState } from '../../plan/sync.js';
import type { GuestChanges } from './patch-guest-command.js';

/**
 * What brings an image to the state of its guest. What the guest itself says, by copies of its files, comes before what QEMU says: memory from
 * `iomem`, CPUs from `deviceTree` or, without an FDT, `cpus`, and from QEMU what was not given.
 */
export function changesToGuestState(
  image: KdumpImage,
  devices: GuestDevices | undefined,
  state: MachineState,
  options: { force?: boolean | undefined } = {},
): Required<GuestChanges> {
  const { changes: stated, difference } = changesToState(image, state, options);
  const given = difference.compared;
  const asked = devices === undefined ? undefined : compareGuest(image, devices);
  const fromQemu = (kind: 'memory' | 'cpus'): GuestChanges['changes'] => asked?.[kind].flatMap(({ changes }) => changes) ?? [];
  return {
    changes: [
      ...(given.memory ? stated.filter((change) => 'memory' in change) : fromQemu('memory')),
      ...(given.cpus ? stated.filter((change) => 'cpu' in change) : fromQemu('cpus')),
    ],
    compared: { memory: given.memory || asked?.compared.memory === true, cpus: given.cpus || asked?.compared.cpus === true },
    findings: (asked?.findings ?? []).filter(({ code }) => !given[code === 'memory-not-compared' ? 'memory' : 'cpus']),
  };
}
