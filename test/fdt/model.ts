import type { FdtEdit, NewNode } from '../../src/fdt/edit/edit.js';
import { FdtNode, parseFdt } from '../../src/fdt/fdt.js';

/** A device tree as plain data, values in hex: what two equivalent blobs have in common. */
export interface Model {
  name: string;
  properties: [name: string, value: string][];
  children: Model[];
}

export function modelOf(node: FdtNode): Model {
  return { name: node.name, properties: node.properties().map(propertyModel), children: node.children().map(modelOf) };
}

export function modelOfBytes(bytes: Uint8Array): Model {
  return modelOf(parseFdt(bytes).root);
}

function propertyModel({ name, value }: { name: string; value: Uint8Array }): [string, string] {
  return [name, Buffer.from(value).toString('hex')];
}

function modelOfNew({ name, properties, children = [] }: NewNode): Model {
  return { name, properties: properties.map(propertyModel), children: children.map(modelOfNew) };
}

/** What editFdt is to make of the tree at `node`: every edit looked at for every node, slow and simple. */
export function edited(node: FdtNode, edits: readonly FdtEdit[]): Model {
  const same = (other: FdtNode): boolean => other.index === node.index;
  let properties = node.properties().map(propertyModel);
  for (const edit of edits) {
    if (edit.kind === 'setProperty' && same(edit.node)) {
      const [name, value] = propertyModel(edit);
      const at = properties.findIndex(([other]) => other === name);
      if (at < 0) properties.push([name, value]);
      else properties[at] = [name, value];
    }
    if (edit.kind === 'removeProperty' && same(edit.node)) properties = properties.filter(([name]) => name !== edit.name);
    if (edit.kind === 'replaceProperties' && same(edit.node)) properties = edit.properties.map(propertyModel);
  }
  const added = (wanted: (after: FdtNode | 'properties' | undefined) => boolean): Model[] =>
    edits.flatMap((edit) => (edit.kind === 'addNode' && same(edit.parent) && wanted(edit.after) ? [modelOfNew(edit.node)] : []));
  const children = [
    ...added((after) => after === 'properties'),
    ...node.children().flatMap((child) => {
      const removed = edits.some((edit) => edit.kind === 'removeNode' && edit.node.index === child.index);
      return [...(removed ? [] : [edited(child, edits)]), ...added((after) => after instanceof FdtNode && after.index === child.index)];
    }),
    ...added((after) => after === undefined),
  ];
  return { name: node.name, properties, children };
}
