import { printable } from '../errors.js';
import { isNothingToDo, type Plan } from '../hotplug/plan.js';
import { bytesChanged } from '../hotplug/segment-plan.js';
import { formatChange } from '../machine/change.js';
import { renderFindings } from './render-inspect.js';
import { columns } from './table.js';
import type { Theme } from './theme.js';

const DIGEST = {
  absent: 'no digest covers the image',
  unaffected: "the purgatory's digest covers nothing that changes",
  ignored: "the purgatory's digest did not match before, and this purgatory never looks at it",
  rewritten: "the purgatory's digest covers what changes and is rewritten",
};

/** Each property once, with the nodes it was derived for where those are not all that were made. */
function derivedRows(derived: Plan['derived']): string[][] {
  const nodes = new Set(derived.map(({ node }) => node));
  const rows = new Map<string, { property: string; how: string; nodes: string[] }>();
  for (const { node, property, how } of derived) {
    const key = `${property}\0${how}`;
    const row = rows.get(key) ?? { property, how, nodes: [] };
    row.nodes.push(node);
    rows.set(key, row);
  }
  return [...rows.values()].map((row) => [
    `  ${printable(row.property)}`,
    printable(row.how) + (row.nodes.length === nodes.size ? '' : ` (${row.nodes.map(printable).join(', ')})`),
  ]);
}

/** What `plan` and `apply` say to people. */
export function renderPlan(plan: Plan, file: string, applied: boolean, theme: Theme): string {
  const nothing = isNothingToDo(plan);
  const changes = plan.changes.map(({ change, effect }) => {
    const text = formatChange(change);
    if (!effect.made) return `  ${theme.faint('=')} ${text}: ${effect.reason}`;
    return change.action === 'add' ? theme.added(`  + ${text}`) : theme.removed(`  - ${text}`);
  });
  const segments = plan.segments.map((segment) => {
    const changed = bytesChanged(segment);
    return [`  ${segment.name}`, changed === 0 ? 'stays as it is' : `${changed} bytes change`];
  });
  const derived = derivedRows(plan.derived);
  return [
    `${theme.heading(printable(file))}: ${nothing ? 'nothing to do' : applied ? 'applied' : 'planned, nothing written'}`,
    ...changes,
    ...(derived.length === 0
      ? []
      : [
          `${theme.heading('Derived')} for ${[...new Set(plan.derived.map(({ node }) => printable(node)))].join(', ')}`,
          ...columns(derived),
        ]),
    ...(nothing ? [] : [theme.heading('Segments'), ...columns(segments), `  ${DIGEST[plan.digest]}`]),
    ...renderFindings(plan.findings, theme),
  ].join('\n');
}
