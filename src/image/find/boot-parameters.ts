import { dataView } from '../../bytes/byte-order.js';
import { containsAddress, rangeOfSize } from '../../memory/range.js';
import { elfcorehdrFromBootargs } from '../chosen.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';

/** `HdrS` at 0x202: the setup header of boot_params (Documentation/arch/x86/boot.rst). */
export const SETUP_HEADER_MAGIC = 0x53726448;
export const SETUP_HEADER_AT = 0x202;

const PARAMETERS_SIZE = 0x300;
/** COMMAND_LINE_SIZE of x86. */
const COMMAND_LINE_SIZE = 2048;
/** Loaders put the command line behind the parameters, in the same segment. */
const SEGMENT_SIZE = 0x10000;

/** What the boot parameters of an x86 capture kernel say of the elfcorehdr, and where the command line that says it is. */
export interface BootParameters {
  /** Where they are. */
  readonly address: bigint;
  /** What `elfcorehdr=` names. */
  readonly elfcorehdr: bigint;
  /** How far everything that they name is from where they say. */
  readonly shift: bigint;
}

/** The boot parameters at `address`; undefined where there are none of a capture kernel. */
export function bootParametersAt(memory: PhysicalMemory, address: bigint): BootParameters | undefined {
  if (!memory.holds(rangeOfSize(address, BigInt(PARAMETERS_SIZE)))) return undefined;
  const view = dataView(memory.read(address, PARAMETERS_SIZE));
  if (view.getUint32(SETUP_HEADER_AT, true) !== SETUP_HEADER_MAGIC) return undefined;
  // ext_cmd_line_ptr and cmd_line_ptr.
  const stated = (BigInt(view.getUint32(0x0c8, true)) << 32n) | BigInt(view.getUint32(0x228, true));
  if (stated === 0n) return undefined;
  const named = elfcorehdrIn(memory, stated, COMMAND_LINE_SIZE)?.elfcorehdr;
  if (named !== undefined) return { address, elfcorehdr: named, shift: 0n };
  const behind = elfcorehdrIn(memory, address + BigInt(PARAMETERS_SIZE), SEGMENT_SIZE);
  return behind === undefined ? undefined : { address, elfcorehdr: behind.elfcorehdr, shift: behind.start - stated };
}

/** The first command line in memory from `from` on that has `elfcorehdr=`, and where it begins. */
function elfcorehdrIn(memory: PhysicalMemory, from: bigint, length: number): { elfcorehdr: bigint; start: bigint } | undefined {
  const held = memory.ranges.find((range) => containsAddress(range, from));
  if (held === undefined) return undefined;
  const left = held.end - from;
  const bytes = Buffer.from(memory.read(from, left < length ? Number(left) : length));
  const at = bytes.indexOf('elfcorehdr=');
  if (at < 0) return undefined;
  const end = bytes.indexOf(0, at);
  const start = bytes.lastIndexOf(0, at) + 1;
  const elfcorehdr = elfcorehdrFromBootargs(bytes.toString('latin1', start, end < 0 ? undefined : end))?.address;
  return elfcorehdr === undefined ? undefined : { elfcorehdr, start: from + BigInt(start) };
}
