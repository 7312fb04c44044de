// A flattened device tree by itself: looks things up, edits two properties, and prints a node as device tree source.
//
//   node fdt.mjs fdt.dtb changed.dtb
import { readFileSync, writeFileSync } from 'node:fs';
import { editFdt, encodeCells, encodeString, formatDts, parseFdt, readCells } from 'kdump-hotplug';

const [path, output] = process.argv.slice(2);
const fdt = parseFdt(readFileSync(path));
const cpus = fdt.node('/cpus')?.children() ?? [];
for (const cpu of cpus) {
  const reg = cpu.property('reg');
  if (reg !== undefined) console.log(`${cpu.path}: reg ${readCells(reg, 1, 0)}`);
}

// All edits or none, in one pass. Everything that they do not touch stays as it is, to the byte.
const { bytes, grown, freeSize } = editFdt(
  fdt,
  [
    { kind: 'setProperty', node: fdt.root, name: 'model', value: encodeString('edited') },
    { kind: 'setProperty', node: fdt.root, name: 'example,range', value: encodeCells([0x80000000n, 0x10000000n], 2) },
  ],
  { capacity: 0x10000 },
);
writeFileSync(output, bytes);
console.log(`${bytes.length} bytes, ${freeSize} free, ${grown ? 'grown' : 'not grown'}`);

const lines = formatDts(parseFdt(bytes)).split('\n');
for (const line of lines.filter((each) => /^\t(model|example,range) = /.test(each))) console.log(line.trim());
