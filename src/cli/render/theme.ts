import { Chalk } from 'chalk';
import type { Severity } from '../../check/finding.js';

export type ColorChoice = 'auto' | 'always' | 'never';

/** The one place that knows colours, and what fits the screen. */
export interface Theme {
  readonly heading: (text: string) => string;
  readonly added: (text: string) => string;
  readonly removed: (text: string) => string;
  readonly crashKernel: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly severity: (severity: Severity) => string;
  /** Characters a line of the screen has. */
  readonly columns: number;
  /** Whether the screen is a terminal. What goes into a pipe or file has one form: 80 columns, ASCII, a finding a line. */
  readonly isTerminal: boolean;
  /** Whether the screen shows Unicode blocks. */
  readonly hasBlocks: boolean;
  /** Whether long lists are cut, so that what matters stays on the screen: on a terminal, unless --verbose asks for all of them. */
  readonly folds: boolean;
}

/** What standard output is connected to. */
export interface Screen {
  readonly environment: NodeJS.ProcessEnv;
  readonly isTerminal: boolean;
  /** Of the terminal; 80 without it. */
  readonly columns?: number | undefined;
}

type Level = 0 | 1 | 2 | 3;

const same = (text: string): string => text;

const COLUMNS = 80;
const FEWEST_COLUMNS = 40;

export function themeFor(choice: ColorChoice, screen: Screen, verbose = false): Theme {
  const { environment, isTerminal, columns } = screen;
  return {
    ...colorsOf(colorLevel(choice, environment, isTerminal)),
    columns: isTerminal ? Math.max(columns ?? COLUMNS, FEWEST_COLUMNS) : COLUMNS,
    isTerminal,
    hasBlocks: isTerminal && isUtf8(environment),
    folds: isTerminal && !verbose,
  };
}

/** The locale of characters, as setlocale(3) finds it. */
function isUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

/** NO_COLOR (no-color.org) and FORCE_COLOR decide unless the option does; chalk itself ignores NO_COLOR on a terminal. */
function colorLevel(choice: ColorChoice, environment: NodeJS.ProcessEnv, isTerminal: boolean): Level {
  if (choice === 'never') return 0;
  if (choice === 'always') return supportedLevel();
  const forced = environment.FORCE_COLOR;
  if (forced !== undefined && forced !== '' && forced !== '0' && forced !== 'false') return supportedLevel();
  if ((environment.NO_COLOR ?? '') !== '' || forced === '0' || forced === 'false' || environment.TERM === 'dumb') return 0;
  return isTerminal ? supportedLevel() : 0;
}

/** What chalk finds out of the terminal; 16 colours where it finds nothing. */
function supportedLevel(): Level {
  const { level } = new Chalk();
  return level === 0 ? 1 : level;
}

function colorsOf(level: Level): Pick<Theme, 'heading' | 'added' | 'removed' | 'crashKernel' | 'faint' | 'severity'> {
  // chalk is not even loaded where no colours are wanted.
  if (level === 0) return { heading: same, added: same, removed: same, crashKernel: same, faint: same, severity: same };
  const chalk = new Chalk({ level });
  const colors = { error: chalk.red.bold, warning: chalk.yellow, info: chalk.blue };
  return {
    heading: (text) => chalk.bold(text),
    added: (text) => chalk.green(text),
    removed: (text) => chalk.red(text),
    crashKernel: (text) => chalk.cyan(text),
    faint: (text) => chalk.dim(text),
    severity: (severity) => colors[severity](severity),
  };
}
