import { printable } from '../errors.js';

/** Markup that is safe to put into the page as it is. Only {@link html} makes it from text. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }

  toString(): string {
    return this.markup;
  }
}

/** What may stand in a template: text and numbers are escaped, markup stays, lists are put one after the other, nothing gives nothing. */
export type Content = Html | string | number | bigint | null | undefined | false | readonly Content[];

/**
 * A template whose values are escaped, in elements and in attributes between double quotes alike. All text of an image is hostile: what is
 * meant as markup has to be made by this tag itself. The indentation of the template does not get into the page.
 */
export function html(template: TemplateStringsArray, ...values: readonly Content[]): Html {
  const strings = withoutIndentation(template);
  let markup = strings[0] ?? '';
  for (let index = 0; index < values.length; index += 1) markup += `${markupOf(values[index])}${strings[index + 1] ?? ''}`;
  return new Html(markup);
}

const stripped = new WeakMap<TemplateStringsArray, readonly string[]>();

/** A template is one object however often it is used, as in each of thousands of rows. */
function withoutIndentation(template: TemplateStringsArray): readonly string[] {
  let strings = stripped.get(template);
  if (strings === undefined) {
    strings = template.map((string) => string.replace(/\s*\n\s*/g, '\n'));
    stripped.set(template, strings);
  }
  return strings;
}

/** Text that was written here, with `code` between backticks. */
export function withCode(text: string): Html {
  return new Html(
    text
      .split('`')
      .map((part, index) => (index % 2 === 1 ? html`<code class="words">${part}</code>`.markup : escape(part)))
      .join(''),
  );
}

/** Hostile text in full up to `limit` characters; of more, the start and how long it is. */
export function shortened(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}… (${text.length} characters)` : text;
}

function markupOf(value: Content): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.markup;
  return Array.isArray(value) ? value.map(markupOf).join('') : escape(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Of addresses and numbers, which most of a long page is made of, nothing has to be escaped. */
const HARMLESS = /^[\w ,.:+-]*$/;

/** What is not merely shown becomes visible as everywhere else in the program. */
function escape(text: string): string {
  if (HARMLESS.test(text)) return text;
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
