import { printable } from '../../errors.js';
import { cpuOption, type CheckResult } from '../../check/check.js';
import type { KdumpImage } from '../../image/image.js';
import { renderFindings } from './render-findings.js';
import type { SyncAdvice } from '../../report/subject.js';
import { wrapped } from './table.js';
import type { Theme } from './theme.js';

/** What `check` says to people: the two verdicts, what speaks against them, and what to do. */
export function renderCheck(image: KdumpImage, result: CheckResult, sync: SyncAdvice | null, theme: Theme): string {
  const sound = result.sound ? theme.added('sound') : theme.removed('not sound');
  return [
    `${theme.heading(printable(image.memory.path))}: ${sound}, ${comparison(image, result, theme)}; digest ${result.digest}`,
    ...renderFindings(result.findings, theme),
    ...(sync === null ? [] : [adviceLine(sync, theme)]),
  ].join('\n');
}

function adviceLine({ command, why }: SyncAdvice, theme: Theme): string {
  if (command === null) return wrapped(`cannot be brought up to date: ${printable(why ?? '')}`, theme);
  return `${theme.faint(`to bring it up to date${why === null ? '' : `, ${why}`}:`)} ${printable(command)}`;
}

/** Whether it is current, of as much as was compared: `current`, or `memory current; CPUs not compared (--device-tree)`. */
function comparison(image: KdumpImage, { compared, current }: CheckResult, theme: Theme): string {
  const options = { memory: '--iomem', cpus: cpuOption(image) };
  if (current === true) return theme.added('current');
  if (current === null && !compared.memory && !compared.cpus)
    return theme.faint(`not compared with a machine (${options.memory}, ${options.cpus})`);
  const open = [
    ...(compared.memory ? [] : [`memory not compared (${options.memory})`]),
    ...(compared.cpus ? [] : [`CPUs not compared (${options.cpus})`]),
  ].map((each) => `; ${theme.faint(each)}`);
  const agrees = compared.memory ? 'memory current' : 'CPUs current';
  return (current === null ? theme.added(agrees) : theme.removed('not current')) + open.join('');
}
