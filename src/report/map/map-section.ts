import { formatRange, sizeOf, type Range } from '../../memory/range.js';
import { formatSize } from '../../text/numbers.js';
import { html, type Html } from '../html.js';
import { crashKernelLanes, overviewLanes } from './lanes.js';
import { MARK_KINDS, hasGroups, isTiny, memoryMapOf, windowsOf, type Lane, type MarkKind, type MemoryMap } from './memory-map.js';
import { drawMap, patterns, swatch } from './memory-map-svg.js';
import type { ReportSubject } from '../subject.js';
import { about, count, counted, size } from '../words.js';

const ZOOMS = [1, 4, 16, 64] as const;

/** The maps: all memory, the crashkernel range, and enlarged what is too small in either. */
export function mapSection(subject: ReportSubject): Html {
  const overview = overviewLanes(subject);
  const inside = crashKernelLanes(subject);
  const [whole, crashKernel] = [memoryMapOf(overview), memoryMapOf(inside)];
  const { image } = subject;
  const hull = image.crashKernel ?? crashKernel.scale.range;
  const what = image.crashKernel === null ? 'The segments' : 'The crashkernel range';
  return html`<section id="map" aria-labelledby="map-heading">
    <h2 id="map-heading">Memory map</h2>
    <p>
      Physical addresses, from low to high. Point at a range, or move to it with the Tab key, for its exact addresses; it leads to its row
      in a table, and the tables have all that the maps show.
    </p>
    ${legend([whole, crashKernel])} ${patterns()} ${figure('map-whole', 'All memory', whole)}
    ${windowsOf(whole, hull).map((window, index) => enlarged(`map-part-${index}`, overview, window, whole))}
    ${figure('map-crashkernel', `${what}: ${formatRange(hull)}, ${size(hull)}`, crashKernel)}
    ${windowsOf(crashKernel).map((window, index) => enlarged(`map-crashkernel-part-${index}`, inside, window, crashKernel))}
  </section>`;
}

function enlarged(id: string, lanes: readonly Lane[], window: Range, from: MemoryMap): Html {
  const map = memoryMapOf(lanes, window);
  const times = Math.max(1, Math.round(from.scale.bytesPerPercent / map.scale.bytesPerPercent));
  return figure(id, `Enlarged ${count(times)} times: ${formatRange(window)}, ${size(window)}`, {
    ...map,
    lanes: map.lanes.filter(({ marks }) => marks.length > 0),
  });
}

function figure(id: string, title: string, map: MemoryMap): Html {
  const description = `${map.lanes
    .map(
      ({ name, marks }) =>
        `${name}: ${counted(
          marks.reduce((sum, mark) => sum + mark.count, 0),
          'range',
        )}`,
    )
    .join('; ')}.`;
  return html`<figure class="zoomable" aria-labelledby="${id}-heading">
    <div class="figure-head">
      <h3 id="${id}-heading">${title}</h3>
      <fieldset class="zoom">
        <legend>Zoom<span class="unseen"> of the map: ${title}</span></legend>
        ${ZOOMS.map((zoom, index) => html`<label><input type="radio" name="${id}-zoom" value="${zoom}" ${index === 0 && html` checked`} /><span>${zoom}&times;</span></label>`)}
      </fieldset>
    </div>
    ${drawMap(map, id, title, description)}
    <figcaption>${honesty(map)}</figcaption>
  </figure>`;
}

/** What the map does not show as it is. */
function honesty(map: MemoryMap): string {
  const { scale, lanes } = map;
  const marks = lanes.flatMap((lane) => lane.marks);
  const tiny = marks.filter(isTiny).length;
  const cut = scale.pieces.filter(({ isCut }) => isCut);
  const hidden = cut.reduce((sum, { range }) => sum + sizeOf(range), 0n);
  const groups = marks.filter((mark) => mark.count > 1);
  return [
    `To scale: 1 % of the width is ${about(scale.bytesPerPercent)}.`,
    cut.length > 0 &&
      `${counted(cut.length, 'hole')}, ${formatSize(hidden)} in all, ${cut.length === 1 ? 'is' : 'are'} cut short at the slanted lines.`,
    tiny > 0 &&
      !hasGroups(map) &&
      `${counted(tiny, 'range')} too small to see at this scale ${tiny === 1 ? 'is' : 'are'} drawn as a tall thin line, wider than true.`,
    groups.length > 0 &&
      `${counted(
        groups.reduce((sum, mark) => sum + mark.count, 0),
        'range',
      )} that lie too close together are drawn as ${count(groups.length)}, the paler the more of it is holes; the tables have each.`,
  ]
    .filter((sentence) => sentence !== false)
    .join(' ');
}

function legend(maps: readonly MemoryMap[]): Html {
  const used = new Set(maps.flatMap(({ lanes }) => lanes.flatMap(({ marks }) => marks.map(({ kind }) => kind))));
  const kinds = (Object.keys(MARK_KINDS) as MarkKind[]).filter((kind) => used.has(kind));
  return html`<ul class="legend" aria-label="What the colours mean">
    ${kinds.map((kind) => html`<li>${swatch(kind)} ${MARK_KINDS[kind]}</li>`)}
  </ul>`;
}
