import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { stateFrom } from '../../src/cli/options/state-options.js';
import { CAPTURES } from '../helpers/capture-image.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { has, scratchFolder } from '../helpers/run.js';
import { bigImage, hostileImage, reportOn } from './samples.js';

// The page as people meet it. Without Debian's package chromium these tests are skipped.

const folder = scratchFolder();
const CHROMIUM = 'chromium';
const isInstalled = has(CHROMIUM);

/** Files of the pages. */
const PAGES = { plain: '', stale: '', change: '', hostile: '', big: '' };

let browser: Browser;

/** Opens a page, and keeps what it says and asks for. */
async function open(
  file: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; said: string[]; requests: string[]; close: () => Promise<void> }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  const [said, requests]: [string[], string[]] = [[], []];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href);
  return { page, said, requests, close: () => context.close() };
}

const number = async (page: Page, expression: string): Promise<number> => Number(await page.evaluate(expression));

describe.skipIf(!isInstalled)('in Chromium', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: `/usr/bin/${CHROMIUM}`, args: ['--disable-dev-shm-usage'] });
    const step = join(CAPTURES, 'ppc64le-6.12-64k/02-mem-add-256M');
    const tree = join(folder, 'device-tree');
    mkdirSync(tree);
    execFileSync('tar', ['xf', join(step, 'device-tree.tar.gz'), '-C', tree]);
    const state = stateFrom({ iomem: join(step, 'iomem.txt'), deviceTree: tree }, nodeFileSystem);
    const image = fixtureImage('ppc64le-64k');
    const made = {
      plain: reportOn(image),
      stale: reportOn(image, { state }),
      change: reportOn(image, { before: fixtureImage('ppc64le-64k-no-hotplug') }),
      hostile: reportOn(hostileImage(folder)),
      big: reportOn(bigImage(folder).path),
    };
    for (const name of Object.keys(made) as (keyof typeof made)[]) {
      PAGES[name] = join(folder, `${name}.html`);
      writeFileSync(PAGES[name], made[name]);
    }
  }, 120_000);

  afterAll(async () => {
    await browser.close();
  });

  test.each(['plain', 'stale', 'change', 'hostile', 'big'] as const)('%s: opens in silence, asks for nothing, fits', async (name) => {
    const { page, said, requests, close } = await open(PAGES[name]);
    for (const width of [1280, 400, 320]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await number(page, 'document.documentElement.scrollWidth'), `${width} px`).toBeLessThanOrEqual(width);
    }
    expect(said).toEqual([]);
    expect(requests).toEqual([pathToFileURL(PAGES[name]).href]);
    await close();
  });

  test('is read by landmarks, headings and tables', async () => {
    const { page, close } = await open(PAGES.stale);
    const snapshot = await page.locator('body').ariaSnapshot();
    for (const landmark of ['banner', 'main', 'contentinfo', 'navigation "Parts of this report"', 'region "Memory map"']) {
      expect(snapshot).toContain(`- ${landmark}`);
    }
    const outline = `[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.nodeName[1]))`;
    const levels: number[] = await page.evaluate(outline);
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.forEach((level, index) => {
      expect(level).toBeLessThanOrEqual((levels[index - 1] ?? 0) + 1);
    });
    const dumped = page.getByRole('table', { name: 'Memory in the dump' });
    expect(await dumped.getByRole('columnheader').allTextContents()).toEqual(['Addresses', 'Size', 'Kind']);
    expect(await dumped.getByRole('rowheader').allTextContents()).toContain('0x40000000-0x7fffffff');
    expect(await page.getByRole('table').count()).toBe(await page.locator('table:has(caption)').count());
    await close();
  });

  test('every range of a map is a link with its exact addresses, which leads to its row', async () => {
    const { page, close } = await open(PAGES.stale);
    const map = page.getByRole('group', { name: 'All memory' });
    expect(await map.getByRole('link').count()).toBeGreaterThan(8);
    const missing = map.getByRole('link', { name: 'missing, 256 MiB, 0x80000000-0x8fffffff' });
    const facts = missing.locator('.facts');
    expect(await facts.isVisible()).toBe(false);
    await missing.focus();
    expect(await facts.isVisible()).toBe(true);
    expect(await facts.locator('.where').textContent()).toBe('0x80000000-0x8fffffff');
    await page.keyboard.press('Enter');
    expect(page.url()).toMatch(/#missing-0$/);
    expect(await page.locator('tr:target').textContent()).toContain('0x80000000-0x8fffffff');
    await close();
  });

  test('pointing at a range shows its addresses', async () => {
    const { page, close } = await open(PAGES.stale);
    const ram = page.getByRole('group', { name: 'All memory' }).getByRole('link', { name: /^System RAM, 1 GiB/ });
    await ram.locator('.bar').hover();
    expect(await ram.locator('.where').isVisible()).toBe(true);
    await close();
  });

  const CANVAS = `document.querySelector('#map .canvas').getBoundingClientRect().width`;
  const VIEW = `document.querySelector('#map .view').clientWidth`;
  const MIDDLE = `(() => { const view = document.querySelector('#map .view'); return (view.scrollLeft + view.clientWidth / 2) / view.scrollWidth; })()`;

  test('zooms, with the mouse and with the keyboard, and keeps the middle where it is', async () => {
    const { page, said, close } = await open(PAGES.stale);
    const zoom = page.getByRole('group', { name: 'Zoom of the map: All memory' });
    await zoom.getByRole('radio', { name: '4×', exact: true }).click();
    expect((await number(page, CANVAS)) / (await number(page, VIEW))).toBeCloseTo(4, 0);
    expect(await number(page, MIDDLE)).toBeCloseTo(0.5, 2);
    await page.evaluate(`document.querySelector('#map .view').scrollLeft = 0`);
    await page.waitForTimeout(100);
    await page.keyboard.press('ArrowRight');
    expect(await zoom.getByRole('radio', { name: '16×' }).isChecked()).toBe(true);
    expect((await number(page, CANVAS)) / (await number(page, VIEW))).toBeCloseTo(16, 0);
    expect(await number(page, MIDDLE)).toBeCloseTo(0.125, 2);
    expect(await page.locator('#map .axis .fine').first().isVisible()).toBe(true);
    expect(said).toEqual([]);
    await close();
  });

  test('without script it is all there, and still zooms', async () => {
    const { page, close } = await open(PAGES.stale, { javaScriptEnabled: false });
    expect(await page.getByText('A dump would miss 256 MiB of memory.').isVisible()).toBe(true);
    expect(
      await page
        .getByRole('heading', { name: /^Enlarged \d+ times: 0x/ })
        .first()
        .isVisible(),
    ).toBe(true);
    const canvas = page.locator('#map .canvas').first();
    const before = (await canvas.boundingBox())?.width ?? 0;
    await page.getByRole('radio', { name: '16×', exact: true }).first().click();
    expect(((await canvas.boundingBox())?.width ?? 0) / before).toBeCloseTo(16, 0);
    await close();
  });

  test('long tables are folded, and unfold without script', async () => {
    const { page, close } = await open(PAGES.big, { javaScriptEnabled: false });
    const row = page.locator('#memory-2');
    expect(await row.isVisible()).toBe(false);
    await page.getByText('Memory in the dump: 8,194 rows').click();
    expect(await row.isVisible()).toBe(true);
    await close();
  });

  test('is dark where dark is preferred', async () => {
    const grounds: unknown[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, close } = await open(PAGES.plain, { colorScheme });
      grounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await close();
    }
    expect(grounds).toEqual(['rgb(246, 247, 249)', 'rgb(18, 21, 26)']);
  });

  test('prints on pages as wide as they are, without controls', async () => {
    const { page, close } = await open(PAGES.stale);
    await page.getByRole('radio', { name: '64×', exact: true }).first().click();
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 720, height: 1000 });
    expect(await page.locator('.zoom').first().isVisible()).toBe(false);
    expect(await number(page, CANVAS)).toBeLessThanOrEqual(720);
    expect(await number(page, 'document.documentElement.scrollWidth')).toBeLessThanOrEqual(720);
    await close();
  });

  test('what would get past the escaping could neither run nor load', async () => {
    const file = join(folder, 'attacked.html');
    const attack = `<script>document.title = 'run'</script><img src="http://127.0.0.1:9/pixel" onerror="document.title = 'run'"><style>body { display: none }</style>`;
    writeFileSync(file, readFileSync(PAGES.plain, 'utf8').replace('<main id="main">', `<main id="main">${attack}`));
    const { page, said, close } = await open(file);
    expect(await page.title()).toContain('kdump image report');
    expect(await page.locator('body').isVisible()).toBe(true);
    expect(said.length).toBeGreaterThanOrEqual(3);
    expect(said.every((message) => message.includes('Content Security Policy'))).toBe(true);
    await close();
  });
});
