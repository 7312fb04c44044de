import { InvalidArgumentError } from 'commander';
import { KdumpError } from '../../errors.js';

/** Reads an option's operand; what is wrong with it is a usage error that names the option. */
export function operand<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw error instanceof KdumpError ? new InvalidArgumentError(error.message) : error;
    }
  };
}

/** Of an option or argument with choices: the one that `known` finds for a text, which may be a former name of it. */
export function choice<T extends string>(choices: readonly T[], known: (text: string) => T | undefined): (text: string) => T {
  return (text) => {
    const found = known(text);
    if (found === undefined) throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`);
    return found;
  };
}

export function repeated<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  const read = operand(parse);
  return (text, before) => [...(before ?? []), read(text)];
}
