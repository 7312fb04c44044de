import { KdumpError, printable } from '../errors.js';
import type { ByteOrder } from '../bytes/byte-order.js';
import type { Architecture, ArchitectureName } from './architecture.js';
import { aarch64 } from './aarch64.js';
import { loongarch64 } from './loongarch64.js';
import { ppc64, ppc64le } from './ppc64.js';
import { riscv64 } from './riscv64.js';
import { s390x } from './s390x.js';
import { x86_64 } from './x86_64.js';

/** All that are known. */
export const architectures: readonly Architecture[] = [ppc64le, ppc64, x86_64, aarch64, riscv64, loongarch64, s390x];

const E_MACHINE_OFFSET = 18;

/** @throws KdumpError `input` when no supported kernel has this e_machine and byte order */
export function architectureOf(machine: number, byteOrder: ByteOrder): Architecture {
  const sameMachine = architectures.filter((each) => each.machine === machine);
  const found = sameMachine.find((each) => each.byteOrder === byteOrder);
  if (found !== undefined) return found;
  if (sameMachine.length === 0) throw unknownMachine(machine);
  throw new KdumpError('input', `wrong byte order for e_machine ${machine}`, {
    found: byteOrder,
    expected: sameMachine.map((each) => each.byteOrder).join(' or '),
  });
}

/** @throws KdumpError `usage` when there is no such architecture */
export function architectureNamed(name: string): Architecture {
  const found = architectures.find((each) => each.name === (name as ArchitectureName));
  if (found === undefined) {
    throw new KdumpError('usage', 'unknown architecture', {
      found: printable(name),
      expected: architectures.map((each) => each.name).join(', '),
    });
  }
  return found;
}

function unknownMachine(machine: number): KdumpError {
  const names = new Map<number, string[]>();
  for (const each of architectures) names.set(each.machine, [...(names.get(each.machine) ?? []), each.name]);
  return new KdumpError('input', 'e_machine is not one of a supported kernel', {
    offset: E_MACHINE_OFFSET,
    found: String(machine),
    expected: [...names].map(([number, of]) => `${number} (${of.join(', ')})`).join(', '),
  });
}
