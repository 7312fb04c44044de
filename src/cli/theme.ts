import { Chalk, supportsColor, type ChalkInstance } from 'chalk';
import type { Severity } from '../hotplug/finding.js';

export type ColorChoice = 'auto' | 'always' | 'never';

/** The one place that knows colours. */
export interface Theme {
  heading(text: string): string;
  address(text: string): string;
  added(text: string): string;
  removed(text: string): string;
  faint(text: string): string;
  severity(severity: Severity): string;
}

export function themeFor(choice: ColorChoice, environment: NodeJS.ProcessEnv, isTerminal: boolean): Theme {
  return themeOf(new Chalk({ level: colorLevel(choice, environment, isTerminal) }));
}

/** NO_COLOR (no-color.org) and FORCE_COLOR decide unless the option does; chalk itself ignores NO_COLOR on a terminal. */
function colorLevel(choice: ColorChoice, environment: NodeJS.ProcessEnv, isTerminal: boolean): 0 | 1 | 2 | 3 {
  if (choice === 'never') return 0;
  const supported = supportsColor === false ? 1 : supportsColor.level;
  if (choice === 'always') return supported === 0 ? 1 : supported;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined && forced !== '' && forced !== '0' && forced !== 'false') return supported === 0 ? 1 : supported;
  if ((environment['NO_COLOR'] ?? '') !== '' || forced === '0' || forced === 'false' || environment['TERM'] === 'dumb') return 0;
  return isTerminal ? supported : 0;
}

function themeOf(chalk: ChalkInstance): Theme {
  const colors = { error: chalk.red.bold, warning: chalk.yellow, info: chalk.blue };
  return {
    heading: (text) => chalk.bold(text),
    address: (text) => chalk.cyan(text),
    added: (text) => chalk.green(text),
    removed: (text) => chalk.red(text),
    faint: (text) => chalk.dim(text),
    severity: (severity) => colors[severity](severity),
  };
}
