import { KdumpError } from '../errors.js';
import { stringList, u32At } from '../fdt/cells.js';

/** A connector, by which firmware adds and removes a resource. */
export interface Connector {
  readonly index: number;
  readonly name: string;
  /** `CPU`, `MEM` and others. */
  readonly type: string;
}

/**
 * The connectors that `ibm,drc-indexes`, `ibm,drc-names` and `ibm,drc-types` of a node list (PAPR+ section 13.5.2); none where a table is
 * missing. Each begins with the number of its entries.
 *
 * @throws KdumpError `input` when they have not as many entries each
 */
export function connectorsOf(property: (name: string) => Uint8Array | undefined): Connector[] {
  const [indexes, names, types] = [property('ibm,drc-indexes'), property('ibm,drc-names'), property('ibm,drc-types')];
  if (indexes === undefined || names === undefined || types === undefined) return [];
  const [nameList, typeList] = [stringList(names.subarray(4)), stringList(types.subarray(4))];
  const count = u32At(indexes, 0);
  const agree =
    indexes.length === 4 * (count + 1) && [names, types].every((table) => u32At(table, 0) === count) && nameList.length === count;
  if (!agree || typeList.length !== count) {
    throw new KdumpError('input', 'the tables of connectors do not agree', {
      found: `${indexes.length / 4 - 1} indexes, ${nameList.length} names, ${typeList.length} types`,
      expected: `${count} of each`,
    });
  }
  return nameList.map((name, at) => ({ index: u32At(indexes, at + 1), name, type: typeList[at] as string }));
}
