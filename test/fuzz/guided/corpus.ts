import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { FIXTURES } from '../../helpers/fixtures.js';

/** No input is longer. */
export const MAX_INPUT = 1 << 17;

function pathOf(name: string): string {
  return join(FIXTURES, 'corpus', `${name.toLowerCase().replaceAll(' ', '-')}.txt`);
}

/** Inputs that between them reach all that was reached: one a line, raw deflate in base64. */
export function readCorpus(name: string): Uint8Array[] {
  const path = pathOf(name);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'latin1').split('\n').filter(Boolean);
  return lines.map((line) => new Uint8Array(inflateRawSync(Buffer.from(line, 'base64'), { maxOutputLength: MAX_INPUT })));
}

export function writeCorpus(name: string, inputs: readonly Uint8Array[]): void {
  const lines = inputs.map((input) => deflateRawSync(input, { level: 9 }).toString('base64')).sort();
  mkdirSync(dirname(pathOf(name)), { recursive: true });
  writeFileSync(pathOf(name), lines.map((line) => `${line}\n`).join(''));
}
