import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FINDING_CODES } from '../../src/codes.js';
import { REMEDIES } from '../../src/report/remedies.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Code, cause and remedy of each row of docs/findings.md; "as above" stands for the row before. */
function documented(): Record<string, { cause: string; remedy: string }> {
  const rows: Record<string, { cause: string; remedy: string }> = {};
  let above = '';
  for (const section of readFileSync(at('docs/findings.md'), 'utf8').split(/^## /m)) {
    for (const [, code = '', cause = '', told = ''] of section.matchAll(/^\| `([a-z-]+)`\s*\| \w+\s*\| (.*?)\s*\| (.*?)\s*\|$/gm)) {
      const remedy = told === 'as above' ? above : told;
      rows[code] = { cause, remedy };
      above = remedy;
    }
  }
  return rows;
}

test('remedies are those of the documentation, and causes parts of what it says', () => {
  const rows = documented();
  expect(Object.keys(rows).length).toBeGreaterThan(30);
  expect(Object.entries(REMEDIES).map(([code, { remedy }]) => [code, remedy])).toEqual(
    Object.entries(rows).map(([code, { remedy }]) => [code, remedy]),
  );
  for (const [code, { cause = '' }] of Object.entries(REMEDIES)) expect(rows[code]?.cause).toContain(cause);
});

test('the codes that a program reads are those of the documentation, each once', () => {
  expect(FINDING_CODES).toEqual(Object.keys(documented()));
});

test('templates of the page are ASCII: the program is read as one byte a character', () => {
  const files = readdirSync(at('src/report'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(10);
  const wrong = files.flatMap((file) =>
    [...readFileSync(at(`src/report/${file}`), 'utf8').matchAll(/html`[^`]*`/g)]
      .filter(([template]) => /[^\u0000-\u007f]/.test(template)) // eslint-disable-line no-control-regex
      .map(([template]) => `${file}: ${template.slice(0, 60)}`),
  );
  expect(wrong).toEqual([]);
});
