import { formatRange, sizeOf, type Range } from '../memory/range.js';
import { formatSize } from '../text/numbers.js';
import { html, type Html } from './html.js';

/** `8,192`, whatever the locale of the machine that makes the page. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 range`, `8,192 ranges`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `0x0-0xffff`, kept on one line. */
export function address(range: Range): Html {
  return html`<code class="address">${formatRange(range)}</code>`;
}

export function size(range: Range): string {
  return formatSize(sizeOf(range));
}

/** To a tenth, cut off and never rounded up: less than all is never 100 %. */
export function percent(part: bigint, whole: bigint): string {
  if (whole === 0n || part === whole) return '100 %';
  const tenths = (part * 1000n) / whole;
  return tenths === 0n && part > 0n ? 'less than 0.1 %' : `${tenths / 10n}.${tenths % 10n} %`;
}

/** A scale: to one decimal, rounded. */
export function about(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${Number((bytes / 1024 ** unit).toFixed(unit === 0 ? 2 : 1))} ${units[unit] ?? ''}`;
}

const MOST_RUNS = 40;

/** Ids in ascending order with runs joined, `0-3, 8`; what would be too long to read ends in how many more there are. */
export function ids(values: readonly number[]): string {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const runs: { first: number; last: number }[] = [];
  for (const id of sorted) {
    const open = runs.at(-1);
    if (open?.last === id - 1) open.last = id;
    else runs.push({ first: id, last: id });
  }
  const shown = runs.slice(0, MOST_RUNS).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  const rest = runs.slice(MOST_RUNS).reduce((sum, { first, last }) => sum + last - first + 1, 0);
  return `${shown.join(', ')}${rest === 0 ? '' : ` and ${count(rest)} more`}`;
}

/** `CPU 2`, `CPUs 2-5`. */
export function cpus(values: readonly number[]): string {
  return `${values.length === 1 ? 'CPU' : 'CPUs'} ${ids(values)}`;
}
