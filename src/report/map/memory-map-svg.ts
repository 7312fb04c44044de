import { hex } from '../../errors.js';
import { formatRange, sizeOf } from '../../memory/range.js';
import { formatSize } from '../../text/numbers.js';
import { html, type Html } from '../html.js';
import { density, hasGroups, isTiny, type Mark, type MemoryMap } from './memory-map.js';
import { placeOf, roundAddresses } from './scale.js';
import { counted, size } from '../words.js';

/*
 * Everything across is in percent of the width and everything down in pixels, so that the same drawing fits any page, and zooming in is nothing
 * but a wider drawing: text keeps its size.
 */

const LANE_HEIGHT = 48;
const BAR_TOP = 19;
const BAR_HEIGHT = 24;
const AXIS_HEIGHT = 22;
/** Where the facts of the mark that is pointed at appear. */
const FACTS_HEIGHT = 36;

/** A map of more marks is one picture; of fewer, each mark is a link to its row, and can be reached with the keyboard. */
const MOST_LINKS = 48;
/** Percent of the width that a mark needs for its name, and for it on a narrow page too. */
const ROOM_FOR_NAME = 9;
const ROOM_ON_NARROW_PAGE = 24;
const LABELS = 8;
const FINE_LABELS = 64;

/** @param id unique on the page */
export function drawMap(map: MemoryMap, id: string, title: string, description: string): Html {
  const bottom = map.lanes.length * LANE_HEIGHT;
  const marks = map.lanes.reduce((sum, lane) => sum + lane.marks.length, 0);
  const areLinks = marks <= MOST_LINKS && !hasGroups(map);
  return html`<div class="map">
    <div class="lane-names" aria-hidden="true">${map.lanes.map(({ name }, index) => html`<span class="lane-${index}">${name}</span>`)}</div>
    <div class="scroll view" role="region" tabindex="0" aria-label="${title}">
      <svg
        class="canvas"
        width="100%"
        height="${bottom + AXIS_HEIGHT + FACTS_HEIGHT}"
        role="${areLinks ? 'group' : 'img'}"
        aria-labelledby="${id}-title ${id}-description"
      >
        <title id="${id}-title">${title}</title>
        <desc id="${id}-description">${description}</desc>
        ${axis(map, bottom)}${map.lanes.map(
          (lane, index) =>
            html`<g>
              <line class="rail" x1="0" x2="100%" y1="${middleOf(index)}" y2="${middleOf(index)}" />
              ${drawingOrder(lane.marks).map((mark) => draw(mark, index, bottom, areLinks))}</g
            > `,
        )}${cuts(map, bottom)}
      </svg>
    </div>
  </div>`;
}

/** What is drawn wider than it is lies on top, or its neighbours would hide it. */
function drawingOrder(marks: readonly Mark[]): Mark[] {
  return [...marks.filter((mark) => !isTiny(mark)), ...marks.filter(isTiny)];
}

/** A pattern for each kind that colour alone should not tell apart; once a page. */
export function patterns(): Html {
  const hatch = (kind: string, rotation: number, width: number): Html =>
    html`<pattern
      id="pattern-${kind}"
      width="${width}"
      height="${width}"
      patternUnits="userSpaceOnUse"
      patternTransform="rotate(${rotation})"
      ><rect class="ground ${kind}" width="${width}" height="${width}" /><rect
        class="stripe ${kind}"
        width="${width / 2}"
        height="${width}"
    /></pattern>`;
  return html`<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false">
    <defs>${hatch('missing', 45, 6)}${hatch('extra', -45, 6)}${hatch('removed', 0, 5)}${hatch('offline', 90, 5)}</defs>
  </svg>`;
}

export function swatch(kind: string): Html {
  return html`<svg class="swatch" width="22" height="14" aria-hidden="true" focusable="false">
    <rect class="bar ${kind}" x="1" y="1" width="20" height="12" rx="2" />
  </svg>`;
}

/** What a mark is, in words: what its row in the table says. */
function factsOf(mark: Mark): string {
  return mark.count === 1
    ? `${mark.label}, ${size(mark.range)}`
    : `${counted(mark.count, 'range')}, ${formatSize(mark.covered)} of ${formatSize(sizeOf(mark.range))}: ${mark.label}`;
}

function middleOf(lane: number): number {
  return lane * LANE_HEIGHT + BAR_TOP + BAR_HEIGHT / 2;
}

function draw(mark: Mark, lane: number, bottom: number, isLink: boolean): Html {
  const top = lane * LANE_HEIGHT + BAR_TOP;
  const width = mark.to - mark.from;
  const faded = density(mark) < 1 && html` fill-opacity="${Math.max(0.3, density(mark)).toFixed(2)}"`;
  const shape = html`<rect
      class="bar ${!isTiny(mark) && 'wide '}${mark.kind}"
      x="${at(mark.from)}"
      width="${at(width)}"
      y="${top}"
      height="${BAR_HEIGHT}"
      ${faded}
    />${isTiny(mark) && tick(mark, top)}${hasName(mark) && name(mark, top)}`;
  if (!isLink) return html`<g><title>${factsOf(mark)}, ${formatRange(mark.range)}</title>${shape}</g> `;
  const facts = html`<g class="facts" aria-hidden="true"
    >${line(mark, bottom + AXIS_HEIGHT + 14, factsOf(mark), 'what')}${line(mark, bottom + AXIS_HEIGHT + 30, formatRange(mark.range), 'where')}</g
  >`;
  return html`<a class="mark" href="#${mark.row}" aria-label="${factsOf(mark)}, ${formatRange(mark.range)}"
    >${shape}<rect class="ring" x="${at(mark.from)}" width="${at(width)}" y="${top - 2}" height="${BAR_HEIGHT + 4}" />${facts}</a
  > `;
}

/** Not for the crashkernel range: its segments lie on it, and its lane says what it is. */
function hasName({ from, to, count, kind }: Mark): boolean {
  return to - from >= ROOM_FOR_NAME && count === 1 && kind !== 'crashkernel';
}

/** What stays visible of a range that is too small: a line of a few pixels, taller than the bars, where the range is. */
function tick({ from, to, kind }: Mark, top: number): Html {
  const x = at((from + to) / 2);
  return html`<line class="tick ${kind}" x1="${x}" x2="${x}" y1="${top - 3}" y2="${top + BAR_HEIGHT + 3}" />`;
}

/** In a drawing of its own, which cuts off what is too long. */
function name({ from, to, kind, label }: Mark, top: number): Html {
  return html`<svg
    class="name${to - from < ROOM_ON_NARROW_PAGE && ' short'}"
    x="${at(from)}"
    width="${at(to - from)}"
    y="${top}"
    height="${BAR_HEIGHT}"
    aria-hidden="true"
  >
    <text class="${kind}" x="7" y="16">${label}</text>
  </svg>`;
}

/** Begins where the mark does, or ends there in the right half, so that it stays on the page. */
function line({ from, to }: Mark, y: number, text: string, className: string): Html {
  const isLeft = from < 50;
  return html`<text class="${className}" x="${at(isLeft ? from : to)}" y="${y}" text-anchor="${isLeft ? 'start' : 'end'}">${text}</text>`;
}

/** Round addresses under a line each, none so near to another that they would overlap; finer ones are shown when zoomed in. */
function axis({ scale }: MemoryMap, bottom: number): Html {
  const places = (wanted: number, width: number): Label[] =>
    roundAddresses(scale, wanted).map((address) => labelAt(address, placeOf(scale, address), width));
  const coarse = apart(places(LABELS, NARROW_WIDTH), PRINTED_WIDTH);
  const fine = apart(places(FINE_LABELS, ZOOMED_WIDTH), ZOOMED_WIDTH);
  const known = new Set(coarse.map(({ address }) => address));
  const label = ({ text, at: place, anchor }: Label, className: string): Html =>
    html`<g class="${className}">
      <line x1="${at(place)}" x2="${at(place)}" y1="${BAR_TOP - 6}" y2="${bottom + 4}" />
      <text x="${at(place)}" y="${bottom + 16}" text-anchor="${anchor}">${text}</text>
    </g> `;
  return html`<g class="axis" aria-hidden="true">
    ${coarse.map((each, index) => label(each, index % 3 === 0 ? 'coarse' : 'coarse more'))}
    ${fine.filter(({ address }) => !known.has(address)).map((each) => label(each, 'fine'))}
  </g> `;
}

/** Pixels across a narrow screen, a printed page, and a narrow screen zoomed in as far as fine labels need; and those of a character. */
const NARROW_WIDTH = 340;
const PRINTED_WIDTH = 700;
const ZOOMED_WIDTH = 16 * NARROW_WIDTH;
const CHARACTER = 7;

interface Label {
  readonly address: bigint;
  readonly text: string;
  readonly at: number;
  /** At the ends of the axis, labels lie beside their line, to stay on the page. */
  readonly anchor: 'start' | 'middle' | 'end';
}

/** @param width pixels of the map, which must have room for it */
function labelAt(address: bigint, place: number, width: number): Label {
  const text = hex(address);
  const room = (50 * text.length * CHARACTER) / width;
  return { address, text, at: place, anchor: place < room ? 'start' : place > 100 - room ? 'end' : 'middle' };
}

/** The labels that do not run into the one before, on a map of `width` pixels. */
function apart(labels: readonly Label[], width: number): Label[] {
  let end = -Infinity;
  return labels.filter(({ text, at: place, anchor }) => {
    const length = text.length * CHARACTER;
    const start = (place / 100) * width - (anchor === 'start' ? 0 : anchor === 'middle' ? length / 2 : length);
    if (start < end) return false;
    end = start + length + CHARACTER;
    return true;
  });
}

/** Two slanted lines where the axis is broken, wide enough to be seen. */
function cuts({ scale }: MemoryMap, bottom: number): Html {
  const visible = scale.pieces.filter(({ isCut, from, to }) => isCut && to - from > 0.3);
  return html`${visible.map(
    ({ range, from, to }) =>
      html`<g class="cut"
        ><title>hole of ${size(range)}, cut short: ${formatRange(range)}</title
        ><rect x="${at(from)}" width="${at(to - from)}" y="${BAR_TOP - 8}" height="${bottom - BAR_TOP + 8}" /><svg
          x="${at((from + to) / 2)}"
          y="${BAR_TOP - 8}"
          width="1"
          height="${bottom - BAR_TOP + 8}"
          overflow="visible"
        >
          <path d="M-5 ${bottom - BAR_TOP + 8} L1 0 M-1 ${bottom - BAR_TOP + 8} L5 0" /></svg
      ></g> `,
  )}`;
}

/** A place or width in percent; what lies below a thousandth of a pixel at the deepest zoom is left out. */
function at(percent: number): string {
  return `${Number(percent.toFixed(5))}%`;
}
