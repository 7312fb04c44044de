// Device trees with many CPUs, and the nodes that replace them.
import { FDT_ROOM, library, openFixture } from './fixture.mjs';

const { editFdt, knownCpus, newNodeFrom, parseFdt } = library;

/** The FDT of a guest, with `count` CPU nodes like its own: 31 properties each. */
export function deviceTree(count) {
  const image = openFixture();
  const { tree } = image.fdt;
  const cpus = knownCpus(image).map(({ node }) => node);
  const pattern = newNodeFrom(cpus.at(-1));
  const parent = tree.node('/cpus');
  const edits = cpus.map((node) => ({ kind: 'removeNode', node }));
  for (let id = 0; id < count; id += 1)
    edits.push({ kind: 'addNode', parent, node: { ...pattern, name: `PowerPC,POWER9@${id.toString(16)}` } });
  library.closeImage(image);
  return editFdt(tree, edits, { capacity: FDT_ROOM }).bytes;
}

export function cpuNodes(fdt) {
  return fdt
    .node('/cpus')
    .children()
    .filter((node) => node.property('device_type') !== undefined);
}

/** The CPU nodes of a blob as a live tree has them. */
export function liveNodes(blob) {
  return cpuNodes(parseFdt(blob)).map((node) => newNodeFrom(node));
}

/** The form that peers/nodes.h reads. */
export function encodeNodes(nodes) {
  const parts = [];
  const number = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  const bytes = (value) => {
    number(value.length);
    parts.push(value);
  };
  const text = (value) => bytes(Buffer.from(`${value}\0`, 'latin1'));
  number(nodes.length);
  for (const { name, properties } of nodes) {
    text(name);
    number(properties.length);
    for (const property of properties) {
      text(property.name);
      bytes(property.value);
    }
  }
  return Buffer.concat(parts);
}
