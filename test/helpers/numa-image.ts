import { build, cpuNode, load, packedFile, partsOf } from './build-image.js';
import { asKexecToolsLists, numaItems, type NumaTree } from './numa-tree.js';

/** CPUs that there is room for; the first two are there. */
const POSSIBLE = 8;
const FIRST_64_KIB = 0x10000n;

/** An image of a pseries guest with NUMA nodes, packed by the program, its memory listed as kexec-tools does. */
export function packNumaImage(path: string, tree: NumaTree): void {
  const parts = partsOf('ppc64le', { cpus: POSSIBLE, hotplug: true });
  const { crashKernel, facts } = parts;
  const { vector5, nodes } = numaItems(tree, crashKernel.end);
  parts.chosen.push(vector5);
  parts.nodes = nodes;
  parts.cpus = [0, 1].map((id) => cpuNode('ppc64le', id));
  const memory = asKexecToolsLists(tree).flatMap(({ start, end }) =>
    start === 0n
      ? [
          { start: FIRST_64_KIB, end: crashKernel.start },
          { start: crashKernel.end, end },
        ]
      : [{ start, end }],
  );
  const others = parts.programHeaders.slice(0, -2);
  parts.programHeaders = [...others, ...memory.map(({ start, end }) => load(start, end - start, facts.linear))];
  packedFile(path, build(parts));
}
