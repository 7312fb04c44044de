import type { Command } from 'commander';
import type { FileSystem } from '../file/file-system.js';
import type { Console } from './console.js';
import type { Outcome } from './outcome.js';
import type { Progress } from './progress.js';
import type { ColorChoice } from './render/theme.js';

/** Values of the options that every command has. */
export interface CommonOptions {
  color?: ColorChoice;
  quiet?: boolean;
  verbose?: boolean;
  json?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly fileSystem: FileSystem;
  readonly console: Console;
  /** Of the program. */
  readonly version: string;
  readonly progress: Progress;
}

/** Does a command's work, once its options are known. */
export type Act = (options: CommonOptions, action: (context: Context) => Outcome | Promise<Outcome>) => void;

/** A command as the program knows it. Its arguments and options are added only when it is the one that was asked for. */
export interface CommandDefinition {
  readonly summary: string;
  readonly define: (command: Command, act: Act) => void;
  /** It tells about all commands, so all of them are defined for it. */
  readonly needsAll?: true;
}
