import type { FindingCode } from '../codes.js';

/** `error`: no dump, or a wrong or incomplete one; `warning`: works, but not as it should; `info`: good to know. */
export type Severity = 'error' | 'warning' | 'info';

/** Something worth knowing about an image or a plan. Codes are stable; docs/findings.md lists them with cause and remedy. */
export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  readonly message: string;
}
