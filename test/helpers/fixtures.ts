import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url));

export type FixtureImage = 'ppc64le-64k' | 'ppc64le-64k-no-hotplug' | 'ppc64le-4k' | 'tiny-ppc64';

export function fixtureImage(name: FixtureImage): string {
  return join(FIXTURES, 'images', `${name}.kdump`);
}

let copies = 0;

/** A copy of a fixture image that a test may change. */
export function copyOf(name: FixtureImage, folder: string): string {
  copies += 1;
  const path = join(folder, `${name}-${copies}.kdump`);
  copyFileSync(fixtureImage(name), path);
  return path;
}

/** A section of a little- or big-endian ELF64 file, from its section headers: nothing of the code under test. */
export function section(path: string, name: string): Section {
  return sectionOf(readFileSync(path), name, path);
}

interface Section {
  readonly offset: number;
  readonly size: number;
  readonly bytes: Buffer;
}

/** As {@link section}, of a file that was read already. */
export function sectionOf(file: Buffer, name: string, path = 'the file'): Section {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const little = file[5] === 1;
  const [headers, count, stringsAt] = [Number(view.getBigUint64(40, little)), view.getUint16(60, little), view.getUint16(62, little)];
  const offsetOf = (index: number): number => Number(view.getBigUint64(headers + 64 * index + 24, little));
  for (let index = 0; index < count; index += 1) {
    const nameAt = offsetOf(stringsAt) + view.getUint32(headers + 64 * index, little);
    if (file.toString('latin1', nameAt, file.indexOf(0, nameAt)) !== name) continue;
    const [offset, size] = [offsetOf(index), Number(view.getBigUint64(headers + 64 * index + 32, little))];
    return { offset, size, bytes: file.subarray(offset, offset + size) };
  }
  throw new Error(`no section ${name} in ${path}`);
}
