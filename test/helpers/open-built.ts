import { join } from 'node:path';
import { afterAll } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { KdumpImage } from '../../src/image/image.js';
import { closeImage, openImage } from '../../src/image/open.js';
import { packedFile, ramFile, type Built } from './build-image.js';

/** Opens built images in files of `folder`; they are closed after the tests. */
export function imageOpener(folder: string): Readonly<Record<'packed' | 'raw', (built: Built) => KdumpImage>> {
  const opened: KdumpImage[] = [];
  afterAll(() => {
    opened.forEach(closeImage);
  });
  const open = (path: string, base: bigint): KdumpImage => {
    const image = openImage(nodeFileSystem, path, base === 0n ? {} : { base });
    opened.push(image);
    return image;
  };
  const next = (): string => join(folder, `built-${opened.length}`);
  return {
    packed: (built) => open(packedFile(next(), built).path, 0n),
    raw: (built) => open(ramFile(next(), [built]).path, built.parts.facts.base),
  };
}
