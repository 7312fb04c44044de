import { addChangeOptions, changesFrom, planOptionsFrom, type ChangeArgument, type ChangeOptions } from '../change-options.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { addImageOptions, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';
import { addWriteOptions, planAndApply, type WriteOptions } from '../plan-and-apply.js';

interface ApplyOptions extends CommonOptions, ImageOptions, ChangeOptions, WriteOptions {}

export const applyCommand: CommandDefinition = {
  summary: 'make changes in an image, in place',
  define(command, act) {
    const given: ChangeArgument[] = [];
    addWriteOptions(addImageOptions(addChangeOptions(command, given)))
      .argument('<image>')
      .action((path: string, options: ApplyOptions) => {
        act(options, (context) => apply(context, path, given, options));
      });
  },
};

export const planCommand: CommandDefinition = {
  summary: 'show what apply would do, and whether it fits',
  define(command, act) {
    const given: ChangeArgument[] = [];
    addImageOptions(addChangeOptions(command, given))
      .argument('<image>')
      .action((path: string, options: ApplyOptions) => {
        act(options, (context) => apply(context, path, given, { ...options, dryRun: true }));
      });
  },
};

function apply(context: Context, path: string, given: readonly ChangeArgument[], options: ApplyOptions): Outcome {
  const changes = changesFrom(given, context.fileSystem);
  return planAndApply(context, path, options, { planOptions: planOptionsFrom(options, context.fileSystem), changesFor: () => changes });
}
