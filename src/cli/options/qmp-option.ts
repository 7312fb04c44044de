import type { Command } from 'commander';
import { KdumpError } from '../../errors.js';

/** Value of the option that names a running guest. */
export interface QmpOptions {
  qmp?: string;
}

export function addQmpOption(command: Command): Command {
  return command
    .optionsGroup('Running guest:')
    .option('--qmp <socket>', "QEMU's monitor: the guest is paused while it is written, and its RAM file is the image unless one is named");
}

/** @throws KdumpError `usage` when no image is named */
export function requireImage(path: string | undefined): string {
  if (path === undefined) throw new KdumpError('usage', "missing required argument 'image'", { expected: 'an image, or --qmp' });
  return path;
}
