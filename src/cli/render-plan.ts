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

/** What `plan` and `apply` say to people. */
export function renderPlan(plan: Plan, applied: boolean, theme: Theme): string {
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
  const derived = plan.derived.map(({ node, property, how }) => [`  ${printable(node)}`, printable(property), printable(how)]);
  return [
    `${theme.heading(printable(plan.image.memory.path))}: ${nothing ? 'nothing to do' : applied ? 'applied' : 'planned, nothing written'}`,
    ...changes,
    ...(derived.length === 0 ? [] : [theme.heading('Derived'), ...columns(derived)]),
    ...(nothing ? [] : [theme.heading('Segments'), ...columns(segments), `  ${DIGEST[plan.digest]}`]),
    ...renderFindings(plan.findings, theme),
  ].join('\n');
}
