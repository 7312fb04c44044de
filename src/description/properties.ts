import { equalBytes } from '../bytes/compare.js';
import type { FdtProperty } from '../fdt/fdt.js';

/** Whether both have the same properties with the same values, in whatever order. */
export function sameProperties(a: readonly FdtProperty[], b: readonly FdtProperty[]): boolean {
  const values = new Map(b.map(({ name, value }) => [name, value]));
  return (
    a.length === b.length &&
    a.every(({ name, value }) => {
      const other = values.get(name);
      return other !== undefined && equalBytes(value, other);
    })
  );
}
