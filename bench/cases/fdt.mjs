// All CPU nodes of an FDT replaced: parsed, checked, edited, written.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpuNodes, liveNodes } from '../inputs/device-tree.mjs';
import { FDT_ROOM, library } from '../inputs/fixture.mjs';

const { editFdt, parseFdt } = library;

export function prepare(path, result) {
  const blob = readFileSync(path);
  const nodes = liveNodes(blob);
  let bytes;
  return {
    work() {
      const fdt = parseFdt(blob);
      const parent = fdt.node('/cpus');
      const edits = [
        ...cpuNodes(fdt).map((node) => ({ kind: 'removeNode', node })),
        ...nodes.map((node) => ({ kind: 'addNode', parent, node })),
      ];
      ({ bytes } = editFdt(fdt, edits, { capacity: FDT_ROOM }));
    },
    end() {
      writeFileSync(result, bytes);
    },
  };
}
