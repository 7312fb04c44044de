import { printable } from '../../errors.js';
import type { CheckResult } from '../../check/check.js';
import type { KdumpImage } from '../../image/image.js';
import { renderFindings } from './render-findings.js';
import type { Theme } from './theme.js';

/** What `check` says to people: the two verdicts, what speaks against them, and what to do. */
export function renderCheck(image: KdumpImage, result: CheckResult, theme: Theme): string {
  const sound = result.sound ? theme.added('sound') : theme.removed('not sound');
  const current =
    result.current === null
      ? theme.faint('not compared with a machine (--iomem, --device-tree)')
      : result.current
        ? theme.added('current')
        : theme.removed('not current');
  const { missingMemory, extraMemory, missingCpus, extraCpus } = result;
  const canSync = result.sound && [missingMemory, extraMemory, missingCpus, extraCpus].some((list) => list.length > 0);
  return [
    `${theme.heading(printable(image.memory.path))}: ${sound}, ${current}; digest ${result.digest}`,
    ...renderFindings(result.findings, theme),
    ...(canSync && result.current === false ? [theme.faint('sync with the same options brings it up to date')] : []),
  ].join('\n');
}
