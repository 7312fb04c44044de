import { expect, test } from 'vitest';
import { html, shortened, withCode, type Content } from '../../src/report/html.js';
import { mistakesIn } from './well-formed.js';

test('values are escaped in elements and attributes', () => {
  const hostile = `<script>"a" & 'b'</script>`;
  expect(html`<a title="${hostile}">${hostile}</a>`.markup).toBe(
    '<a title="&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;">&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;</a>',
  );
});

test('what is markup already stays, in lists too', () => {
  const items = ['<', '>'].map((text) => html`<i>${text}</i>`);
  expect(html`<b>${items}</b>`.markup).toBe('<b><i>&lt;</i><i>&gt;</i></b>');
});

test('an object that looks like markup is text', () => {
  const fake = { markup: '<script>', toString: () => '<b>' } as unknown as string;
  expect(html`${fake}`.markup).toBe('&lt;b&gt;');
});

test.each([
  ['control characters', 'a\u0000\u001b[31m\u009b\n', 'a\\x00\\x1b[31m\\x9b\\x0a'],
  ['characters that turn the direction of text', '\u202eabc\u2066', '\\u202eabc\\u2066'],
  ['half a surrogate pair', 'a\ud800b', 'a\\ud800b'],
])('%s become visible', (_, text, shown) => {
  expect(html`${text}`.markup).toBe(shown);
});

test.each<[Content, string]>([
  [false, ''],
  [null, ''],
  [undefined, ''],
  [0, '0'],
  [0xffff_ffff_ffff_ffffn, '18446744073709551615'],
])('%s gives "%s"', (value, markup) => {
  expect(html`${value}`.markup).toBe(markup);
});

test('the indentation of a template is left out, blanks in values stay', () => {
  // prettier-ignore
  const made = html`<p>
    ${'a   b'}
  </p>`;
  expect(made.markup).toBe('<p>\na   b\n</p>');
});

test('backticks mark code, which is escaped as well', () => {
  expect(withCode('use `a<b` or <c>').markup).toBe('use <code class="words">a&lt;b</code> or &lt;c&gt;');
});

test('long text is cut, and says how long it was', () => {
  expect(shortened('abcdef', 6)).toBe('abcdef');
  expect(shortened('abcdefg', 3)).toBe('abc… (7 characters)');
});

test.each([
  ['<p>', '<p> is not closed'],
  ['<p></b>', 'closes another'],
  ['<p title=a></p>', 'not a tag'],
  ['<p>a & b</p>', 'bare &'],
  ['<i id="a"></i><i id="a"></i>', 'id a twice'],
  ['<a href="#b"></a>', 'nothing has the id b'],
  ['<p>a\u0007</p>', 'control character'],
])('the checker of these tests finds what is wrong with %s', (page, mistake) => {
  expect(mistakesIn(page).join()).toContain(mistake);
});
