import { KernelMemory, PhysicalPages } from '../../src/kernel/kernel-memory.js';
import { SYMBOLS, type RunningKernel } from '../../src/kernel/running-kernel.js';
import { architectureOfKernel } from '../../src/kernel/translation.js';
import type { Vmcoreinfo } from '../../src/kernel/vmcoreinfo.js';
import { PagesMemory } from './kernel-fixture.js';

/**
 * Blanks what nobody asks for in a kernel's tables of symbols and types, of which the program reads all: other names become zeros of the same length,
 * other types keep their kind and size alone. Packed, 7 MB become 300 KB.
 */
export function blankTables({ info }: RunningKernel, read: Map<bigint, Uint8Array>): void {
  const kept = new Set<string>([...SYMBOLS, '_stext', 'swapper_pg_dir', 'node_online_map']);
  blankNames(info, read, (name) => !kept.has(name));
  const btfAt = btfAddress(read);
  if (btfAt === undefined) return;
  const memory = new PagesMemory(read);
  const head = new Uint8Array(24);
  memory.readInto(head, btfAt);
  const view = new DataView(head.buffer);
  const little = info.order === 'lsb';
  const btf = new Uint8Array(view.getUint32(4, little) + view.getUint32(16, little) + view.getUint32(20, little));
  memory.readInto(btf, btfAt);
  blankTypes(btf, little);
  put(read, btfAt, btf);
}

/** Blanks the names of symbols. */
export function blankNames(info: Vmcoreinfo, read: Map<bigint, Uint8Array>, isBlanked: (name: string) => boolean): void {
  const pages = new PhysicalPages(new PagesMemory(read), info.order);
  const { translate } = architectureOfKernel(pages, info) ?? {};
  if (translate === undefined) throw new Error('the kernel cannot be read');
  const kernel = new KernelMemory(pages, translate);
  const table = (name: string): bigint => info.symbol(`kallsyms_${name}`) ?? 0n;
  const names = kernel.read(table('names'), Number(table('token_table') - table('names')));
  const index = kernel.view(table('token_index'), 512);
  const tokens = Array.from({ length: 256 }, (_, token) =>
    kernel.text(table('token_table') + BigInt(index.getUint16(2 * token, kernel.isLittleEndian))),
  );
  let at = 0;
  for (let left = kernel.u32(table('num_syms')); left > 0; left -= 1) {
    let size = names[at++] as number;
    if (size >= 0x80) size = (size & 0x7f) | ((names[at++] as number) << 7);
    const name = Array.from(names.subarray(at, at + size), (token) => tokens[token]).join('');
    if (isBlanked(name.slice(1))) names.fill(0, at, at + size);
    at += size;
  }
  // The markers, which follow, are not read.
  names.fill(0, at);
  put(read, translate(table('names')), names);
}

/** Where a page holds the header of BTF. */
function btfAddress(read: ReadonlyMap<bigint, Uint8Array>): bigint | undefined {
  for (const [address, page] of read) {
    for (const head of ['9feb010018000000', 'eb9f010000000018']) {
      const found = Buffer.from(page).indexOf(Buffer.from(head, 'hex'));
      if (found >= 0) return address + BigInt(found);
    }
  }
  return undefined;
}

function put(read: Map<bigint, Uint8Array>, address: bigint, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const skip = Number((address + BigInt(done)) % 0x1000n);
    const page = read.get(address + BigInt(done - skip));
    const size = Math.min(0x1000 - skip, bytes.length - done);
    page?.set(bytes.subarray(done, done + size), skip);
    done += size;
  }
}

const KEPT_STRUCTS = ['resource', 'kimage', 'kexec_segment', 'device_node', 'property'];
const KEPT_TYPEDEF = 'note_buf_t';
const [ARRAY, STRUCT, TYPEDEF] = [3, 4, 8];
/** Bytes after the first 12 of a type of each kind, and for each member. */
export const FIXED: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 };
export const EACH: Readonly<Record<number, number>> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 };

function blankTypes(btf: Uint8Array, little: boolean): void {
  const view = new DataView(btf.buffer);
  const word = (at: number): number => view.getUint32(at, little);
  const head = word(4);
  const [types, strings] = [head + word(8), head + word(16)];
  const stringsEnd = strings + word(20);
  const text = (offset: number): string => Buffer.from(btf.subarray(strings + offset, btf.indexOf(0, strings + offset))).toString('latin1');
  const starts: { at: number; kind: number; size: number; name: string; target: number }[] = [];
  for (let at = types; at < types + word(12);) {
    const kind = (word(at + 4) >>> 24) & 0x1f;
    const size = 12 + (FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * (word(at + 4) & 0xffff);
    starts.push({ at, kind, size, name: text(word(at)), target: word(at + 8) });
    at += size;
  }
  const arrays = starts.filter(({ kind, name }) => kind === TYPEDEF && name === KEPT_TYPEDEF).map(({ target }) => target);
  const keptTexts = new Set<number>();
  starts.forEach(({ at, kind, size, name }, index) => {
    const isKept =
      (kind === STRUCT && KEPT_STRUCTS.includes(name)) ||
      (kind === TYPEDEF && name === KEPT_TYPEDEF) ||
      (kind === ARRAY && arrays.includes(index + 1));
    if (!isKept) {
      btf.fill(0, at, at + 4);
      btf.fill(0, at + 8, at + size);
      return;
    }
    keptTexts.add(word(at));
    if (kind === STRUCT) for (let member = at + 12; member < at + size; member += 12) keptTexts.add(word(member));
  });
  const kept = [...keptTexts].map((offset) => ({ offset, value: text(offset) }));
  btf.fill(0, strings, stringsEnd);
  for (const { offset, value } of kept) btf.set(Buffer.from(value, 'latin1'), strings + offset);
}
