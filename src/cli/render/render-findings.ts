import { printable } from '../../errors.js';
import type { Finding, Severity } from '../../check/finding.js';
import { wrapped } from './table.js';
import type { Theme } from './theme.js';

const ORDER: readonly Severity[] = ['error', 'warning', 'info'];

/** The findings, the worst first. */
export function renderFindings(findings: readonly Finding[], theme: Theme): string[] {
  return ORDER.flatMap((wanted) =>
    findings
      .filter(({ severity }) => severity === wanted)
      .map(({ severity, code, message }) =>
        wrapped(`${severity}: ${printable(message)} [${code}]`, theme).replace(severity, () => theme.severity(severity)),
      ),
  );
}
