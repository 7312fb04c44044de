// The elfcorehdr by itself: reads the program headers out of a file and adds one. planHotplug does this by the kernel's rules.
//
//   node elfcorehdr.mjs elfcorehdr.bin changed.bin
import { readFileSync, writeFileSync } from 'node:fs';
import { PF_RWX, PT_LOAD, encodeElfcorehdr, parseElfcorehdr } from 'kdump-hotplug';

const [path, output] = process.argv.slice(2);
// What follows the last program header is not looked at, so this may be a whole segment.
const { header, programHeaders } = parseElfcorehdr(readFileSync(path));
console.log(`${programHeaders.length} program headers, ${header.byteOrder}`);

const last = programHeaders.at(-1);
if (last === undefined) throw new Error('no program header to go on from');
const start = last.paddr + last.memsz;
const added = {
  type: PT_LOAD,
  flags: PF_RWX,
  offset: start,
  vaddr: last.vaddr + last.memsz,
  paddr: start,
  filesz: 0x1000000n,
  memsz: 0x1000000n,
  align: 0n,
};
// e_phnum follows the number of program headers.
const bytes = encodeElfcorehdr({ header, programHeaders: [...programHeaders, added] });
writeFileSync(output, bytes);
console.log(`${bytes.length} bytes, ${parseElfcorehdr(bytes).programHeaders.length} program headers`);
