import { printable } from '../../errors.js';
import { cpuOption, type CheckResult } from '../../check/check.js';
import type { KdumpImage } from '../../image/image.js';
import { renderFindings } from './render-findings.js';
import type { Theme } from './theme.js';

/** What `check` says to people: the two verdicts, what speaks against them, and what to do. */
export function renderCheck(image: KdumpImage, result: CheckResult, theme: Theme): string {
  const sound = result.sound ? theme.added('sound') : theme.removed('not sound');
  const { missingMemory, extraMemory, missingCpus, extraCpus } = result;
  const differs = result.sound && [missingMemory, extraMemory, missingCpus, extraCpus].some((list) => list !== null && list.length > 0);
  return [
    `${theme.heading(printable(image.memory.path))}: ${sound}, ${comparison(image, result, theme)}; digest ${result.digest}`,
    ...renderFindings(result.findings, theme),
    ...(differs ? [theme.faint('sync with the same options brings it up to date')] : []),
  ].join('\n');
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
