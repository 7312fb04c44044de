export type Severity = 'error' | 'warning' | 'info';

/** Something worth knowing about an image or a plan. Codes are stable; docs/findings.md lists them with cause and remedy. */
export interface Finding {
  readonly severity: Severity;
  readonly code: string;
  readonly message: string;
}
