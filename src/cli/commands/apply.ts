import { addChangeOptions, changesFrom, planOptionsFrom, type ChangeArgument, type ChangeOptions } from '../options/change-options.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { addQmpOption, requireImage, type QmpOptions } from '../options/qmp-option.js';
import { planAndApply } from '../plan-and-apply.js';
import { addWriteOptions, type WriteOptions } from '../options/write-options.js';

interface ApplyOptions extends CommonOptions, ImageOptions, ChangeOptions, WriteOptions, QmpOptions {}

export const applyCommand: CommandDefinition = {
  summary: 'make changes in an image, in place',
  define(command, act) {
    const given: ChangeArgument[] = [];
    addQmpOption(addImageOptions(addWriteOptions(addChangeOptions(command.argument('[image]', IMAGE_ARGUMENT), given)))).action(
      (path: string | undefined, options: ApplyOptions) => {
        act(options, (context) => apply(context, path, given, options));
      },
    );
  },
};

export const planCommand: CommandDefinition = {
  summary: 'show what apply would do, and whether it fits',
  define(command, act) {
    const given: ChangeArgument[] = [];
    addImageOptions(addChangeOptions(command.argument('<image>', IMAGE_ARGUMENT), given)).action((path: string, options: ApplyOptions) => {
      act(options, (context) => apply(context, path, given, { ...options, dryRun: true }));
    });
  },
};

function apply(
  context: Context,
  path: string | undefined,
  given: readonly ChangeArgument[],
  options: ApplyOptions,
): Outcome | Promise<Outcome> {
  const { qmp } = options;
  const image = qmp === undefined ? requireImage(path) : path;
  const changes = changesFrom(given, context.fileSystem);
  const planOptions = planOptionsFrom(options, context.fileSystem);
  const work = { planOptions, changesFor: () => changes };
  const where = { ...options, machine: planOptions };
  if (qmp === undefined) return planAndApply(context, requireImage(image), where, work);
  return import('../guest/patch-guest-command.js').then(({ patchGuestCommand }) =>
    patchGuestCommand(context, image, { ...where, qmp }, { ...work, asksDevices: false, changesFor: () => ({ changes }) }),
  );
}
