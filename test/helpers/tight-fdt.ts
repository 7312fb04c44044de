import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Capture } from './capture-image.js';
import { runHere as run } from './run-here.js';

const FDT = 0x3fff9000n;

/**
 * A packed image of the 4K guest whose FDT is just as long as what it holds, and reserves its own memory at that length, in a segment of
 * `room` bytes; `behind` is stored after it.
 */
export function tightFdt(
  folder: string,
  name: string,
  room: (used: number) => number,
  behind: Uint8Array = new Uint8Array(0),
): { path: string; used: number } {
  const capture = new Capture('ppc64le-6.12-4k');
  const tree = Buffer.from(capture.captured('fdt', '00-loaded'));
  const used = tree.readUInt32BE(12) + tree.readUInt32BE(32);
  tree.writeUInt32BE(used, 4);
  const own = reservations(tree).find(({ address }) => address === FDT);
  if (own === undefined) throw new Error('the FDT does not reserve itself');
  tree.writeBigUInt64BE(BigInt(used), own.at + 8);
  writeFileSync(join(folder, `${name}.dtb`), Buffer.concat([tree.subarray(0, used), behind]));
  writeFileSync(join(folder, `${name}.bin`), capture.contents('elfcorehdr'));
  const segments = [
    { name: 'kernel', address: '0x20000000', memsz: '0x287f000', fill: 1, size: 64 },
    { name: 'backup', address: '0x2287f000', memsz: '0x10000', fill: 0 },
    { name: 'elfcorehdr', address: '0x2288f000', memsz: '0x71000', file: `${name}.bin` },
    { name: 'initrd', address: '0x22904000', memsz: '0x12a000', fill: 1, size: 64 },
    { name: 'fdt', address: `0x${FDT.toString(16)}`, memsz: room(used), file: `${name}.dtb` },
  ];
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ architecture: 'ppc64le', segments }));
  const path = join(folder, `${name}.kdump`);
  expect(run(['pack', '--manifest', join(folder, `${name}.json`), '-o', path])).toMatchObject({ status: 0, stderr: '' });
  return { path, used };
}

/** The memory reservation block of a tree, up to the entry of size 0, and where each entry lies. */
export function reservations(tree: Buffer): { address: bigint; size: bigint; at: number }[] {
  const result: { address: bigint; size: bigint; at: number }[] = [];
  for (let at = tree.readUInt32BE(16); tree.readBigUInt64BE(at + 8) !== 0n; at += 16) {
    result.push({ address: tree.readBigUInt64BE(at), size: tree.readBigUInt64BE(at + 8), at });
  }
  return result;
}
