import { printable } from '../../errors.js';
import type { Finding, Severity } from '../../check/finding.js';
import { fold, restLine, wrapped } from './table.js';
import type { Theme } from './theme.js';

const ORDER: readonly Severity[] = ['error', 'warning', 'info'];
const MOST = 10;

/** The findings, the worst first, those of one code together. @param most of each code, where long lists are folded */
export function renderFindings(findings: readonly Finding[], theme: Theme, most = MOST): string[] {
  return ORDER.flatMap((wanted) => {
    const ofSeverity = findings.filter(({ severity }) => severity === wanted);
    const codes = new Set(ofSeverity.map(({ code }) => code));
    return [...codes].flatMap((code) => {
      const { shown, rest } = fold(
        ofSeverity.filter((finding) => finding.code === code),
        most,
        theme,
      );
      return [
        ...shown.map(({ severity, message }) =>
          wrapped(`${severity}: ${printable(message)} [${code}]`, theme).replace(severity, () => theme.severity(severity)),
        ),
        ...(rest.length === 0 ? [] : [restLine(`  and ${rest.length} more [${code}]`, theme)]),
      ];
    });
  });
}
