import { printable } from '../errors.js';
import type { CheckResult } from '../hotplug/check.js';
import type { KdumpImage } from '../image/image.js';
import { renderFindings } from './render-inspect.js';
import type { Theme } from './theme.js';

/** What `check` says to people: the two verdicts, then what speaks against them. */
export function renderCheck(image: KdumpImage, result: CheckResult, theme: Theme): string {
  const sound = result.sound ? theme.added('sound') : theme.removed('not sound');
  const current =
    result.current === null
      ? theme.faint('not compared with a machine (--iomem, --device-tree)')
      : result.current
        ? theme.added('current')
        : theme.removed('not current');
  return [
    `${theme.heading(printable(image.memory.path))}: ${sound}, ${current}; digest ${result.digest}`,
    ...renderFindings(result.findings, theme),
  ].join('\n');
}
