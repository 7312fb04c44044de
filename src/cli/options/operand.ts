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

export function repeated<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  const read = operand(parse);
  return (text, before) => [...(before ?? []), read(text)];
}
