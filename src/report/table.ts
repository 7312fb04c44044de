import { html, type Content, type Html } from './html.js';
import { count, counted } from './words.js';

export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
}

export interface Row {
  /** The first is the row's header. */
  readonly cells: readonly Content[];
  readonly id?: string | undefined;
  readonly className?: string | undefined;
}

/** A table of more rows is folded. */
const MOST_OPEN = 24;
/** What a damaged image could claim would make a page that no browser opens. */
const MOST_ROWS = 20_000;

/** A table with a caption; folded behind `summary` when it is long. */
export function table(caption: string, columns: readonly Column[], rows: readonly Row[]): Html {
  const shown = rows.slice(0, MOST_ROWS);
  const markup = html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}${rows.length > MOST_ROWS && html` &ndash; the first ${count(MOST_ROWS)} of ${count(rows.length)}; <code>inspect --json</code> has all`}
      </caption>
      <thead>
        <tr>
          ${columns.map(({ title, isNumber }) => html`<th scope="col" ${isNumber === true && html` class="number"`}>${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${shown.map((row) => rowOf(columns, row))}
      </tbody>
    </table>
  </div>`;
  return rows.length > MOST_OPEN
    ? html`<details>
        <summary>${caption}: ${counted(rows.length, 'row')}</summary>
        ${markup}
      </details>`
    : markup;
}

function rowOf(columns: readonly Column[], { cells, id, className }: Row): Html {
  const kind = (index: number): Content => columns[index]?.isNumber === true && html` class="number"`;
  const attributes = html`${id !== undefined && html` id="${id}"`}${className !== undefined && html` class="${className}"`}`;
  const [first, ...rest] = cells;
  return html`<tr${attributes}><th scope="row"${kind(0)}>${first}</th>${rest.map((cell, index) => html`<td${kind(index + 1)}>${cell}</td>`)}</tr>
`;
}
