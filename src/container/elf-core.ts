import { KdumpError, within } from '../errors.js';
import { ET_CORE, PN_XNUM, PT_LOAD } from '../elf/constants.js';
import { PROGRAM_HEADER_SIZE, ELF_HEADER_SIZE, parseElfHeader, type ElfHeader } from '../elf/elf-header.js';
import { programHeaderFormat, sectionHeaderFormat } from '../elf/records.js';
import type { InputFile } from '../file/input-file.js';
import { ADDRESS_SPACE_END, byAddress } from '../memory/range.js';
import { isBackup } from '../elf/backup.js';
import type { Container } from './container.js';
import { refuseWithoutAddresses } from './core-kind.js';
import { FileMemory, type Extent } from '../memory-source/file-memory.js';

/** Far more pieces of memory than any dump has; keeps a hostile count from being allocated. */
const MAX_LOADS = 1 << 17;
/** p_paddr of /proc/kcore's mappings that are not of physical memory. */
const NO_ADDRESS = ADDRESS_SPACE_END - 1n;

/** An ELF core file of memory: a dump of a guest, /proc/kcore. */
export const elfCore: Container = {
  imageName: 'kdump image in an ELF memory dump',
  isPlaced: true,
  recognises: ({ elf }) => elf?.fields.type === ET_CORE,
  open: (file) => ({ memory: elfCoreMemory(file) }),
};

/**
 * Physical memory from an ELF ET_CORE file whose PT_LOADs say where each piece of it lies in the file.
 *
 * What the table needs is checked, not more: QEMU writes an e_ehsize of 8 and p_offsets that are not page aligned (dump/dump.c), and a dump made
 * with paging maps the same memory several times, of which the first counts.
 *
 * @throws KdumpError `input` when the tables are damaged, or the file holds no memory
 */
function elfCoreMemory(file: InputFile): FileMemory {
  return within({ file: file.path }, () => {
    const header = parseElfHeader(file.readStart(ELF_HEADER_SIZE));
    const { phoff, phentsize } = header.fields;
    if (phentsize !== PROGRAM_HEADER_SIZE) {
      throw new KdumpError('input', 'wrong e_phentsize', { offset: 54, found: String(phentsize), expected: String(PROGRAM_HEADER_SIZE) });
    }
    const count = programHeaderCount(file, header);
    const table = file.read(phoff, count * PROGRAM_HEADER_SIZE);
    const programHeaders = programHeaderFormat.parse(table, 0, count, header.byteOrder);
    refuseWithoutAddresses(file, programHeaders, header.byteOrder);
    const loads = programHeaders.filter((each) => each.type === PT_LOAD && each.filesz > 0n && each.paddr !== NO_ADDRESS);
    if (loads.length === 0)
      throw new KdumpError('input', 'the ELF core file holds no memory', {
        found: `${count} program headers, none a PT_LOAD with contents`,
      });
    if (loads.every((each) => (isBackup(each) || each.offset === each.paddr) && each.offset + each.filesz > file.size)) {
      throw new KdumpError('input', 'an elfcorehdr by itself, not a memory dump', {
        found: `PT_LOADs that point beyond the ${file.size} bytes of the file`,
        remedy: 'make an image of it and the other segments with pack',
      });
    }
    return new FileMemory(
      file,
      withoutDuplicates(loads.map(({ paddr, offset, filesz }) => ({ address: paddr, size: filesz, fileOffset: offset, fileSize: filesz }))),
    );
  });
}

function programHeaderCount(file: InputFile, { fields, byteOrder }: ElfHeader): number {
  let count = fields.phnum;
  // ELF-64: with PN_XNUM the count is in sh_info of section 0.
  if (count === PN_XNUM) {
    if (fields.shoff === 0n) {
      throw new KdumpError('input', 'e_phnum says that section 0 has the count', {
        offset: 56,
        found: 'no sections',
        expected: 'section 0',
      });
    }
    count = sectionHeaderFormat.parseOne(file.read(fields.shoff, sectionHeaderFormat.size), 0, byteOrder).info;
  }
  if (count === 0 && fields.shnum > 0) {
    throw new KdumpError('input', 'an ELF core file without program headers', {
      found: 'sections alone, as xl dump-core of Xen writes them',
      expected: 'PT_LOADs with physical addresses',
      remedy: 'not read: capture /proc/kcore in the running guest',
    });
  }
  if (count === 0 || count > MAX_LOADS) {
    throw new KdumpError('input', 'wrong number of program headers', { offset: 56, found: String(count), expected: `1 to ${MAX_LOADS}` });
  }
  return count;
}

/** Of memory that several extents hold, the one that begins first keeps it. */
function withoutDuplicates(extents: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  let end = 0n;
  for (const extent of [...extents].sort(byAddress)) {
    const skip = extent.address < end ? end - extent.address : 0n;
    if (skip >= extent.size) continue;
    const size = extent.size - skip;
    result.push({ address: extent.address + skip, size, fileOffset: extent.fileOffset + skip, fileSize: size });
    end = extent.address + extent.size;
  }
  return result;
}
