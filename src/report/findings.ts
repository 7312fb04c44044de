import type { Finding, Severity } from '../check/finding.js';
import type { FindingCode } from '../codes.js';
import { html, withCode, type Content, type Html } from './html.js';
import { REMEDIES } from './remedies.js';
import type { ReportSubject, SyncAdvice } from './subject.js';
import { counted } from './words.js';

const ORDER: readonly Severity[] = ['error', 'warning', 'info'];
const SIGNS: Readonly<Record<Severity, string>> = { error: '✕', warning: '!', info: 'i' };

/** Findings of one code: an image with thousands of ranges can have the same one for each of them. */
export interface FindingGroup {
  readonly severity: Severity;
  readonly code: FindingCode;
  readonly messages: readonly string[];
}

/** The worst first, otherwise in the order in which they were found. */
function groupFindings(findings: readonly Finding[]): FindingGroup[] {
  const groups = new Map<string, { severity: Severity; code: FindingCode; messages: string[] }>();
  for (const { severity, code, message } of findings) {
    const key = `${severity} ${code}`;
    const group = groups.get(key) ?? { severity, code, messages: [] };
    group.messages.push(message);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
}

export function findingsSection({ check, sync }: ReportSubject): Html {
  const groups = groupFindings(check.findings);
  const usesReload = groups.some(({ code }) => remedyOf(code, sync).includes('reload'));
  return html`<section id="findings" aria-labelledby="findings-heading">
    <h2 id="findings-heading">Findings and what to do</h2>
    ${
      groups.length === 0
        ? html`<p>Nothing speaks against this image.</p>`
        : html`<ol class="findings">
            ${groups.map((group) => card(group, sync))}
          </ol>`
    }
    ${usesReload && html`<p class="note"><em>Reload</em> means: unload and load the kdump image on its machine (<code class="words">kdumpctl reload</code>, <code>systemctl restart kdump</code>, <code class="words">kexec -p</code>).</p>`}
  </section>`;
}

/** Messages of a group that are shown at once, and in all. */
const FEW = 4;
const MOST = 2_000;

/** Where the documentation names `sync`, the report has the whole command line, or why none helps. */
function remedyOf(code: FindingCode, sync: SyncAdvice | null): string {
  const { remedy } = REMEDIES[code];
  if (sync === null) return remedy;
  const { command, why } = sync;
  const told = command === null ? `not possible: ${why ?? ''}` : `\`${command}\`${why === null ? '' : `, ${why}`}`;
  return remedy.replace(/^`sync\b[^`]*`(?: with `[^`]*`)?/, () => told);
}

function card({ severity, code, messages }: FindingGroup, sync: SyncAdvice | null): Html {
  const { cause } = REMEDIES[code];
  const remedy = remedyOf(code, sync);
  const [first = ''] = messages;
  const item = (message: string): Html => html`<li>${message}</li> `;
  const all = html`<ul>
    ${messages.slice(0, MOST).map(item)}${messages.length > MOST && html`<li>and ${counted(messages.length - MOST, 'more', 'more')}</li>`}
  </ul>`;
  const told: Content =
    messages.length === 1
      ? html`<p class="message">${first}</p>`
      : messages.length <= FEW
        ? all
        : html`<p class="message">${first}</p>
            <details>
              <summary>${counted(messages.length, 'such finding')}</summary>
              ${all}
            </details>`;
  return html`<li class="finding ${severity}">
    <h3><span class="sign" aria-hidden="true">${SIGNS[severity]}</span>${severity} <code>${code}</code></h3>
    ${told}
    <dl>
      ${
        cause !== undefined &&
        html`<div>
          <dt>Meaning</dt>
          <dd>${withCode(cause)}</dd>
        </div>`
      }
      <div>
        <dt>Remedy</dt>
        <dd>${withCode(remedy)}</dd>
      </div>
    </dl>
  </li> `;
}
