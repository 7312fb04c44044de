/** The first number from `low` up to `high` for which `holds` does, as for all behind it; `high` where there is none. */
export function firstWhere(low: number, high: number, holds: (index: number) => boolean): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
