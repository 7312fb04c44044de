import { dataView } from '../bytes/byte-order.js';
import { RESERVATION_SIZE } from './constants.js';
import { fdtError } from './fdt-error.js';
import type { FdtHeader } from './header.js';

/** Memory that the kernel of this tree must leave alone; both in bytes. */
export interface FdtReservation {
  readonly address: bigint;
  readonly size: bigint;
}

/**
 * The entries of the memory reservation block, without the one that ends it. As in libfdt and in the kernel an entry of size 0 ends the map,
 * whatever its address.
 *
 * Source: Devicetree specification v0.4 section 5.3; libfdt `fdt_num_mem_rsv`.
 *
 * @throws KdumpError `input` when nothing ends the map inside the blob
 */
export function parseReservations(bytes: Uint8Array, { offReserveMap, totalSize }: FdtHeader): FdtReservation[] {
  const view = dataView(bytes);
  const reservations: FdtReservation[] = [];
  for (let at = offReserveMap; at + RESERVATION_SIZE <= totalSize; at += RESERVATION_SIZE) {
    const size = view.getBigUint64(at + 8);
    if (size === 0n) return reservations;
    reservations.push({ address: view.getBigUint64(at), size });
  }
  throw fdtError('memory reservation block has no end', offReserveMap, { expected: 'an entry of size 0' });
}
