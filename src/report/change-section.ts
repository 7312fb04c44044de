import { isSame, memoryChanges, type ImageDifference } from '../check/diff.js';
import type { KdumpImage } from '../image/image.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { capacityOf, knownCpus } from '../description/capacity.js';
import { missed, verdict } from './answer.js';
import { dumpedSize, memoryTable } from './coverage.js';
import { html, shortened, type Content, type Html } from './html.js';
import { ROWS } from './map/lanes.js';
import type { Checked, ReportSubject } from './subject.js';
import { table, type Row } from './table.js';
import { address, count, counted, ids, size } from './words.js';
import { formatSize } from '../text/numbers.js';

/** What became of the earlier image, read as a change; nothing without one. */
export function changeSection({ before, ...now }: ReportSubject): Html | undefined {
  if (before === undefined) return undefined;
  const rows = facts(before).map(({ title, value }, index): Row => {
    const after = facts(now)[index]?.value;
    return { cells: [title, value, after], className: value === after ? 'same' : 'changed' };
  });
  return html`<section id="change" aria-labelledby="change-heading">
    <h2 id="change-heading">What changed</h2>
    <p>From <code>${shortened(before.image.memory.path, 300)}</code> to <code>${shortened(now.image.memory.path, 300)}</code>.</p>
    ${isSame(before.difference) ? html`<p>Nothing: the two images are the same in memory, CPUs and all other segments.</p>` : changeList(before.image, now.image, before.difference)}
    ${table('Before and now', [{ title: '' }, { title: 'Before' }, { title: 'Now' }], rows)}
    <details>
      <summary>Memory in the dump before, range by range</summary>
      ${memoryTable(before.image, 'Memory in the dump before', ROWS.memoryBefore)}
    </details>
  </section>`;
}

function facts(checked: Checked): { title: string; value: string }[] {
  const { image } = checked;
  const { memoryRanges, cpus } = capacityOf(image);
  const { ranges, cpuNotes } = crashMemoryOf(image);
  return [
    { title: 'Verdict', value: verdict(checked) },
    ...(checked.check.current === null ? [] : [{ title: 'Missing', value: missed(checked).join(' ') || 'nothing' }]),
    { title: 'Memory in the dump', value: `${formatSize(dumpedSize(image))} in ${counted(ranges.length, 'range')}` },
    { title: 'CPUs in the FDT', value: image.fdt === null ? 'no FDT' : ids(knownCpus(image).flatMap(({ threads }) => threads)) || 'none' },
    { title: 'CPU notes', value: count(cpuNotes.length) },
    { title: 'Room for', value: `${counted(memoryRanges, 'more range')}${cpus === null ? '' : `, ${counted(cpus, 'more CPU')}`}` },
  ];
}

/** Changes of one kind that are listed one by one. */
const MOST_LISTED = 200;

function changeList(before: KdumpImage, now: KdumpImage, difference: ImageDifference): Html {
  const { cpus, otherSegments, sameElfcorehdr, sameFdt } = difference;
  const memory = memoryChanges(before, now, difference.memory);
  const sameMemory = difference.memory.added.length + difference.memory.removed.length === 0;
  const sameCpus = cpus.added.length + cpus.removed.length + cpus.changed.length === 0;
  const name = (text: string): Html => html`<code>${shortened(text, 120)}</code>`;
  return html`<ul class="changes">
    ${listed(memory.removed, (range, index) => change('removed', html`memory ${address(range)} (${size(range)})`, ROWS.removed(index)))}${listed(memory.added, (range, index) => change('added', html`memory ${address(range)} (${size(range)})`, ROWS.added(index)))}${listed(memory.firmware, (each) => change('altered', html`firmware, listed as ${address(each.after)} (${size(each.after)}), before as ${address(each.before)} (${size(each.before)})`))}${listed(cpus.removed, ({ threads, node }) => change('removed', html`CPU ${ids(threads)} ${name(node.name)}`))}${listed(cpus.added, ({ threads, node }) => change('added', html`CPU ${ids(threads)} ${name(node.name)}`))}${listed(cpus.changed, ({ id, properties }) => change('altered', html`CPU ${id}, in ${shortened(properties.join(', '), 400)}`))}${otherSegments.map((segment) => change('altered', html`segment ${segment}`))}${!sameElfcorehdr && sameMemory && change('altered', 'elfcorehdr: the same memory, in other program headers')}${!sameFdt && sameCpus && change('altered', 'fdt: the same CPUs, other contents')}
  </ul>`;
}

function listed<T>(items: readonly T[], line: (item: T, index: number) => Html): Content {
  const rest = items.length - MOST_LISTED;
  return html`${items.slice(0, MOST_LISTED).map(line)}${rest > 0 && html`<li>and ${count(rest)} more of these</li> `}`;
}

const SIGNS = { added: '+', removed: '−', altered: '~' } as const;

function change(kind: keyof typeof SIGNS, what: Content, id?: string): Html {
  return html`<li class="${kind}" ${id !== undefined && html` id="${id}"`}>
    <span class="sign" aria-hidden="true">${SIGNS[kind]}</span><span class="kind">${kind}</span> ${what}
  </li> `;
}
