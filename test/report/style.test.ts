import { expect, test } from 'vitest';
import { MARK_KINDS } from '../../src/report/map/memory-map.js';
import { STYLE } from '../../src/report/style.js';

/** The colours of the light page, and those of the dark one. */
const [light, dark] = [...STYLE.matchAll(/:root \{([^}]*--page[^}]*--card[^}]*)\}/g)].map(
  ([, block = '']) => new Map([...block.matchAll(/--([a-z0-9-]+): (#[0-9a-f]{3,6})/g)].map(([, name = '', value = '']) => [name, value])),
);

/** WCAG 2.2: contrast ratio of relative luminances. */
function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const digits = colour.length === 4 ? colour.slice(1).replace(/./g, '$&$&') : colour.slice(1);
  const [red = 0, green = 0, blue = 0] = [0, 2, 4]
    .map((at) => parseInt(digits.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const TEXT: readonly (readonly [string, string])[] = [
  ...['page', 'card', 'good-ground', 'warning-ground', 'bad-ground', 'open-ground'].map((ground) => ['ink', ground] as const),
  ...['soft', 'link'].flatMap((colour) => ['page', 'card'].map((ground) => [colour, ground] as const)),
  ...['good', 'warning', 'bad', 'open'].flatMap((tone) =>
    [tone, `${tone}-ground`].map((ground, index) => [tone, index === 0 ? 'card' : ground] as const),
  ),
  ['bad', 'bad-ground'],
  // Names of ranges stand on the ranges themselves.
  ...['machine', 'ram', 'backup', 'firmware', 'description', 'segment', 'added'].map((mark) => ['on-mark', mark] as const),
];

const SHAPES = ['machine', 'ram', 'backup', 'firmware', 'description', 'segment', 'missing', 'extra', 'added', 'removed', 'focus'];

test.each([
  ['light', light],
  ['dark', dark],
])('%s: text has a contrast of 4.5, marks one of 3', (_, colours) => {
  const of = (name: string): string => colours?.get(name) ?? expect.fail(`no colour ${name}`);
  const weak = [
    ...TEXT.filter(([colour, ground]) => contrast(of(colour), of(ground)) < 4.5),
    ...SHAPES.map((shape) => [shape, 'card'] as const).filter(([shape, ground]) => contrast(of(shape), of(ground)) < 3),
  ];
  expect(weak.map(([colour, ground]) => `${colour} on ${ground}: ${contrast(of(colour), of(ground)).toFixed(2)}`)).toEqual([]);
});

test('the dark page has every colour of the light one', () => {
  expect([...(light?.keys() ?? [])].sort()).toEqual([...(dark?.keys() ?? [])].sort());
  expect(light?.size).toBeGreaterThan(20);
});

test.each(Object.keys(MARK_KINDS))('%s has a look, wide and thin', (kind) => {
  expect(STYLE).toMatch(new RegExp(`\\.bar\\.${kind} \\{`));
  expect(STYLE).toMatch(new RegExp(`\\.tick\\.${kind}[ ,]`));
});

test('colours are used by name', () => {
  const used = [...STYLE.matchAll(/var\(--([a-z0-9-]+)\)/g)].map(([, name]) => name ?? '');
  expect([...new Set(used)].filter((name) => light?.has(name) !== true)).toEqual([]);
});
