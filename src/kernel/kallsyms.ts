import { KdumpError, hex } from '../errors.js';
import { dataView } from '../bytes/byte-order.js';
import type { KernelMemory } from './kernel-memory.js';
import type { Vmcoreinfo } from './vmcoreinfo.js';

const TOKENS = 256;
/** Kernels have 100,000 to 300,000 symbols, of 10 bytes or so. */
const MAX_SYMBOLS = 1 << 22;
const MAX_NAMES = 32 << 20;
/** Symbols whose address vmcoreinfo tells as well. */
const KNOWN = ['init_uts_ns', '_stext', 'swapper_pg_dir', 'node_online_map'] as const;

/** How kallsyms_offsets gives the address of the symbol at `index`; both as the kernel computes with them. */
type Encoding = (offset: number, index: number) => bigint;

/**
 * The addresses of those of `names` that the kernel has exactly once among its symbols (kernel/kallsyms.c). Only names of the wanted lengths are
 * spelled out.
 *
 * How an offset is meant depends on version and configuration: absolute from the base, or, where per-CPU symbols are absolute, negative from it
 * (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, until 01157ddc58dc "kallsyms: Remove KALLSYMS_ABSOLUTE_PERCPU" in 6.15), or from the place of the offset itself
 * where there is no base. The way counts in which the symbols have their addresses that vmcoreinfo tells.
 *
 * @throws KdumpError `input` when vmcoreinfo does not tell where the tables are, as before Linux 6.0 (5fd8fea935a1 "vmcoreinfo: include kallsyms
 *   symbols"), or they are damaged
 */
export function findSymbols<Name extends string>(
  memory: KernelMemory,
  info: Vmcoreinfo,
  names: readonly Name[],
): ReadonlyMap<Name, bigint> {
  const table = (name: string): bigint => {
    const address = info.symbol(`kallsyms_${name}`);
    if (address !== undefined) return address;
    throw new KdumpError('input', 'vmcoreinfo does not tell where the symbols of the kernel are', {
      found: `Linux ${info.release}, no SYMBOL(kallsyms_${name})`,
      expected: 'Linux 6.0 or later with CONFIG_KALLSYMS',
    });
  };
  const [namesAt, tokensAt, offsetsAt] = [table('names'), table('token_table'), table('offsets')];
  const count = memory.u32(table('num_syms'));
  const size = tokensAt - namesAt;
  if (count > MAX_SYMBOLS || size <= 0n || size > BigInt(MAX_NAMES)) {
    throw damaged(`${count} symbols with names at ${hex(namesAt)} and tokens at ${hex(tokensAt)}`);
  }
  const wanted = new Set<string>([...names, ...KNOWN]);
  const tokens = readTokens(memory, tokensAt, table('token_index'));
  const indexes = indexesOf(wanted, memory.read(namesAt, Number(size)), count, tokens);
  const encoding = encodingOf(memory, info, offsetsAt, indexes);
  const found = new Map<Name, bigint>();
  for (const name of names) {
    const at = indexes.get(name);
    if (at?.length === 1) found.set(name, addressAt(memory, offsetsAt, at[0] as number, encoding));
  }
  return found;
}

/** The texts that the bytes of a name stand for; the first character of a name is its type. */
function readTokens(memory: KernelMemory, tableAt: bigint, indexAt: bigint): string[] {
  const index = memory.view(indexAt, 2 * TOKENS);
  return Array.from({ length: TOKENS }, (_, token) => memory.text(tableAt + BigInt(index.getUint16(2 * token, memory.isLittleEndian))));
}

function indexesOf(wanted: ReadonlySet<string>, bytes: Uint8Array, count: number, tokens: readonly string[]): Map<string, number[]> {
  const lengths = Uint16Array.from(tokens, ({ length }) => length);
  const wantedLengths = new Set([...wanted].map(({ length }) => length + 1));
  const found = new Map<string, number[]>();
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    let size = bytes[at] ?? 0;
    at += 1;
    // Long names have a second byte of length (73bbb94466fd "kallsyms: support \"big\" kernel symbols", 6.1).
    if (size >= 0x80) {
      size = (size & 0x7f) | ((bytes[at] ?? 0) << 7);
      at += 1;
    }
    const end = at + size;
    if (end > bytes.length) throw damaged(`the name of symbol ${index} passes the end of the names`);
    let length = 0;
    for (; at < end; at += 1) length += lengths[bytes[at] as number] as number;
    if (!wantedLengths.has(length)) continue;
    const name = Array.from(bytes.subarray(end - size, end), (token) => tokens[token])
      .join('')
      .slice(1);
    if (!wanted.has(name)) continue;
    const indexes = found.get(name);
    if (indexes === undefined) found.set(name, [index]);
    else indexes.push(index);
  }
  return found;
}

function encodingOf(memory: KernelMemory, info: Vmcoreinfo, offsetsAt: bigint, indexes: ReadonlyMap<string, number[]>): Encoding {
  const known = KNOWN.flatMap((name) => {
    const address = info.symbol(name);
    const at = indexes.get(name);
    return address === undefined || at?.length !== 1 ? [] : [{ address, index: at[0] as number }];
  });
  const fits = (encoding: Encoding): boolean =>
    known.every(({ address, index }) => addressAt(memory, offsetsAt, index, encoding) === address);
  const encoding = known.length === 0 ? undefined : encodings(memory, info, offsetsAt).find(fits);
  if (encoding === undefined) throw damaged('no way of reading the offsets gives the addresses that vmcoreinfo tells');
  return encoding;
}

function encodings(memory: KernelMemory, info: Vmcoreinfo, offsetsAt: bigint): Encoding[] {
  const baseAt = info.symbol('kallsyms_relative_base');
  if (baseAt === undefined) return [(offset, index) => offsetsAt + 4n * BigInt(index) + BigInt(offset | 0)];
  const base = memory.u64(baseAt);
  return [(offset) => base + BigInt(offset), (offset) => (offset > 0x7fff_ffff ? base - 1n - BigInt(offset | 0) : BigInt(offset))];
}

function addressAt(memory: KernelMemory, offsetsAt: bigint, index: number, encoding: Encoding): bigint {
  const offset = dataView(memory.read(offsetsAt + 4n * BigInt(index), 4)).getUint32(0, memory.isLittleEndian);
  return BigInt.asUintN(64, encoding(offset, index));
}

function damaged(found: string): KdumpError {
  return new KdumpError('input', "the kernel's symbol table is damaged", { found });
}
