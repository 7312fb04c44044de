import type { FileSystem } from '../../file/file-system.js';
import { changesFrom, planOptionsFrom, type ChangeArgument, type ChangeOptions } from '../change-options.js';
import type { Console } from '../console.js';
import type { ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { planAndApply, type WriteOptions } from '../plan-and-apply.js';

export interface ApplyOptions extends ImageOptions, ChangeOptions, WriteOptions {}

export function apply(
  fileSystem: FileSystem,
  path: string,
  given: readonly ChangeArgument[],
  options: ApplyOptions,
  console: Console,
): Outcome {
  const changes = changesFrom(given, fileSystem);
  return planAndApply(fileSystem, path, options, console, { planOptions: planOptionsFrom(options, fileSystem), changesFor: () => changes });
}
