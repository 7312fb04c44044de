import { printable } from '../../errors.js';
import { parseElfcorehdr } from '../../elf/elfcorehdr.js';
import { parseFdt } from '../../fdt/fdt.js';
import { diffDescriptions } from '../../check/diff.js';
import { isNothingToDo, type Plan } from '../../plan/plan.js';
import { bytesChanged } from '../../plan/segment-plan.js';
import type { KdumpImage } from '../../image/image.js';
import { formatChange, type Change } from '../../machine/change.js';
import { idList } from '../../text/id-list.js';
import { differenceLines, totalRows } from './render-difference.js';
import { renderFindings } from './render-findings.js';
import { described, fold, restLine, wrapped } from './table.js';
import type { Theme } from './theme.js';

/** Lines on a terminal without --verbose. */
const MOST_UNMADE = 10;
/** Nodes that are named where properties are derived for more. */
const MOST_NAMES = 4;

const DIGEST = {
  absent: 'none covers the image',
  unaffected: 'covers nothing that changes',
  ignored: 'did not match before, and this purgatory never looks at it',
  rewritten: 'covers what changes, and is rewritten',
};

/** What `plan` and `apply` say to people: what comes and goes, what was derived, what is written, what stays. */
export function renderPlan(plan: Plan, file: string, applied: boolean, theme: Theme): string {
  const nothing = isNothingToDo(plan);
  return [
    `${theme.heading(printable(file))}: ${nothing ? 'nothing to do' : applied ? 'applied' : 'planned, nothing written'}`,
    ...(nothing ? [] : changeLines(plan, theme)),
    ...unmadeLines(plan, theme),
    ...derivedLines(plan.derived, theme),
    ...(nothing ? [] : summaryLines(plan, applied, theme)),
    ...renderFindings(plan.findings, theme),
  ].join('\n');
}

/** The image with the descriptions that the plan writes. */
function imageAfter({ image, segments }: Plan): KdumpImage {
  const after = (name: string): Uint8Array | undefined => segments.find((segment) => segment.name === name)?.after;
  const [elfcorehdr, fdt] = [after('elfcorehdr'), after('fdt')];
  return {
    ...image,
    elfcorehdr: elfcorehdr === undefined ? image.elfcorehdr : { ...image.elfcorehdr, contents: parseElfcorehdr(elfcorehdr) },
    fdt: image.fdt === null || fdt === undefined ? image.fdt : { ...image.fdt, tree: parseFdt(fdt) },
  };
}

function changeLines(plan: Plan, theme: Theme): string[] {
  // Without an FDT, a CPU is its note, which no difference of memory ranges or nodes shows.
  const noted = plan.changes.filter(({ change, effect }) => plan.image.fdt === null && 'cpu' in change && effect.made);
  const after = imageAfter(plan);
  const difference = diffDescriptions(plan.image, after);
  return [
    ...differenceLines(plan.image, after, { ...difference, sameElfcorehdr: difference.sameElfcorehdr || noted.length > 0 }, theme),
    ...noted.map(({ change }) => theme.added(`+ ${formatChange(change).replace(/^add /, '')}, its crash notes`)),
  ];
}

/** The changes that were asked for and change nothing, each with the reason; findings tell of those that are refused. */
function unmadeLines({ changes }: Plan, theme: Theme): string[] {
  const unmade = changes.filter(({ effect }) => !effect.made && effect.isRefused !== true);
  const { shown, rest } = fold(joinedCpus(unmade), MOST_UNMADE, theme);
  return [
    ...shown.map(({ what, reason }) => wrapped(`= ${what}: ${printable(reason)}`, theme)),
    ...(rest.length === 0 ? [] : [restLine(`= ${rest.length} more that change nothing`, theme)]),
  ];
}

/** Threads of a core have one reason, and one line. */
function joinedCpus(changes: Plan['changes']): { what: string; reason: string }[] {
  const joined: { changes: Change[]; reason: string }[] = [];
  for (const { change, effect } of changes) {
    const open = joined.at(-1);
    const [first] = open?.changes ?? [];
    const isSame = first !== undefined && 'cpu' in change && 'cpu' in first && change.action === first.action;
    if (isSame && open?.reason === effect.reason) open.changes.push(change);
    else joined.push({ changes: [change], reason: effect.reason });
  }
  return joined.map(({ changes: [first, ...others], reason }) => {
    const ids = [first, ...others].flatMap((change) => (change !== undefined && 'cpu' in change ? [change.cpu.id] : []));
    return { what: others.length === 0 ? formatChange(first as Change) : `${first?.action ?? ''} CPU ${idList(ids)}`, reason };
  });
}

function summaryLines(plan: Plan, applied: boolean, theme: Theme): string[] {
  const changed = plan.segments.map((segment) => ({ name: segment.name, count: bytesChanged(segment) })).filter(({ count }) => count > 0);
  const stays = plan.image.segments.map(({ name }) => name).filter((name) => !changed.some((each) => each.name === name));
  return described(
    [
      ...totalRows(plan.image, imageAfter(plan)),
      [applied ? 'Written' : 'To be written', changed.map(({ name, count }) => `${count} bytes of ${name}`).join(', ')],
      ...(stays.length === 0 ? [] : [['Stays', stays.join(', ')] as const]),
      ["Purgatory's digest", DIGEST[plan.digest]],
    ],
    theme,
  );
}

/** Each property once, with the nodes it was derived for where those are not all that were made. */
function derivedLines(derived: Plan['derived'], theme: Theme): string[] {
  if (derived.length === 0) return [];
  const nodes = new Set(derived.map(({ node }) => node));
  const rows = new Map<string, { property: string; how: string; nodes: string[] }>();
  for (const { node, property, how } of derived) {
    const key = `${property}\0${how}`;
    const row = rows.get(key) ?? { property, how, nodes: [] };
    row.nodes.push(node);
    rows.set(key, row);
  }
  return [
    wrapped(`Derived for ${names([...nodes], theme)}`, theme).replace('Derived', theme.heading),
    ...described(
      [...rows.values()].map((row) => [
        `  ${printable(row.property)}`,
        printable(row.how) + (row.nodes.length === nodes.size ? '' : ` (${names(row.nodes, theme)})`),
      ]),
      theme,
    ),
  ];
}

function names(nodes: readonly string[], theme: Theme): string {
  const { shown, rest } = fold(nodes, MOST_NAMES, theme);
  return [...shown.map(printable), ...(rest.length === 0 ? [] : [`${rest.length} more`])].join(', ');
}
