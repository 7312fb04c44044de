import type { CommonOptions } from '../command.js';
import type { ChangeOptions } from './change-options.js';
import type { ImageOptions } from './image-options.js';
import type { QmpOptions } from './qmp-option.js';

/** Values of the options of `watch`. */
export interface WatchOptions extends CommonOptions, ImageOptions, ChangeOptions, QmpOptions {
  memoryBlockSize?: bigint;
  memoryBlocks?: string;
  /** Milliseconds. */
  settle?: number;
  interval?: number;
  live?: boolean;
  dryRun?: boolean;
}
