import { hex } from '../errors.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import type { KdumpImage } from '../image/image.js';
import type { Range } from '../memory/range.js';
import { merged, totalSize } from '../memory/range-set.js';
import { formatSize } from '../text/numbers.js';
import { html, type Content, type Html } from './html.js';
import { ROWS } from './map/lanes.js';
import { memoryWanted, type ReportSubject } from './subject.js';
import { table, type Column, type Row } from './table.js';
import { address, counted, percent, size } from './words.js';

const RANGE_COLUMNS: readonly Column[] = [{ title: 'Addresses' }, { title: 'Size', isNumber: true }];

/** How much of the machine's memory the dump would have, and every range of it. */
export function coverageSection(subject: ReportSubject): Html {
  const { image, check, state } = subject;
  const offline = state.offlineMemory ?? [];
  const missing = check.missingMemory ?? [];
  const extra = check.extraMemory ?? [];
  const ranges = (caption: string, found: readonly Range[], rows: Row[]): Content =>
    found.length > 0 && table(caption, RANGE_COLUMNS, rows);
  return html`<section id="coverage" aria-labelledby="coverage-heading">
    <h2 id="coverage-heading">Coverage</h2>
    ${state.iomem === undefined ? unknownShare(image) : share(memoryWanted(subject), missing)}
    ${ranges('Memory that a dump would miss', missing, rangeRows(missing, ROWS.missing, 'missing'))}
    ${ranges('Listed, and offline or no System RAM on the machine', extra, rangeRows(extra, ROWS.extra, 'extra'))}
    ${memoryTable(image, 'Memory in the dump', ROWS.memory)} ${state.iomem !== undefined && machineTable(subject)}
    ${ranges('Memory of the machine that is offline', offline, rangeRows(offline, ROWS.offline))}
  </section>`;
}

function machineTable(subject: ReportSubject): Html {
  const { excluded } = subject.image.architecture;
  const left = excluded === undefined ? '' : html`, nor ${address(excluded)}, which this architecture never dumps`;
  return html`${table('System RAM of the machine', RANGE_COLUMNS, rangeRows(memoryWanted(subject), ROWS.machine))}
    <p class="note">Without its crashkernel range${left}.</p>`;
}

/** The ranges of an image in the order of its program headers. */
export function memoryTable(image: KdumpImage, caption: string, rowId: (index: number) => string): Html {
  const { ranges } = crashMemoryOf(image);
  const rows = ranges.map(({ kind, range, programHeader }, index): Row => {
    const what = kind === 'backup' ? html`backup, contents at <code>${hex(programHeader.offset)}</code>` : kind === 'ram' ? 'RAM' : kind;
    return { id: rowId(index), cells: [address(range), size(range), what] };
  });
  return table(caption, [...RANGE_COLUMNS, { title: 'Kind' }], rows);
}

function rangeRows(ranges: readonly Range[], rowId: (index: number) => string, className?: string): Row[] {
  return ranges.map((range, index) => ({ id: rowId(index), className, cells: [address(range), size(range)] }));
}

/** Bytes of the dump; memory that is listed twice counts once. */
export function dumpedSize(image: KdumpImage): bigint {
  return totalSize(dumped(image));
}

/** How much of what the machine has is in the dump: the share, and the two sizes that it is of. */
export function coveredShare(wanted: readonly Range[], missing: readonly Range[]): { share: string; has: bigint; all: bigint } {
  const all = totalSize(wanted);
  const has = all - totalSize(missing);
  return { share: percent(has, all), has, all };
}

function dumped(image: KdumpImage): readonly Range[] {
  return merged(crashMemoryOf(image).ranges.map(({ range }) => range));
}

function unknownShare(image: KdumpImage): Html {
  return html`<p>
    A dump would have ${formatSize(dumpedSize(image))} in ${counted(dumped(image).length, 'range')}. Whether that is all memory of the
    machine was not asked: <code class="words">--iomem</code> compares it with the machine&rsquo;s <code>/proc/iomem</code>.
  </p>`;
}

function share(wanted: readonly Range[], missing: readonly Range[]): Html {
  const covered = coveredShare(wanted, missing);
  const { has, all } = covered;
  return html`<p>
      A dump would have <strong>${covered.share}</strong> of the machine&rsquo;s memory: ${formatSize(has)} of ${formatSize(all)}.
    </p>
    <div class="share" role="img" aria-label="${covered.share} in the dump">
      <svg width="100%" height="14" aria-hidden="true" focusable="false">
        <rect class="bar missing" width="100%" height="14" />
        <rect class="bar ram" width="${all === 0n ? 100 : Number((has * 10_000n) / all) / 100}%" height="14" />
      </svg>
    </div>`;
}
