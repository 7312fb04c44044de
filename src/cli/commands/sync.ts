import { KdumpError } from '../../errors.js';
import { planPossible } from '../../plan/plan-possible.js';
import { kernelFindings } from '../../check/kernel-word.js';
import { stateOfKernel } from '../../machine/kernel-state.js';
import type { MachineState } from '../../machine/machine-state.js';
import { comparedFindings, leftOutFindings } from '../../check/check.js';
import { comparedWith } from '../../check/compare-state.js';
import { changesToState, optionsToState } from '../../plan/sync.js';
import type { Finding } from '../../check/finding.js';
import type { KdumpImage } from '../../image/image.js';
import type { Change } from '../../machine/change.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { compatOption } from '../options/change-options.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import type { Outcome } from '../outcome.js';
import { addQmpOption, requireImage, type QmpOptions } from '../options/qmp-option.js';
import { addStateOptions, stateFrom, type StateOptions } from '../options/state-options.js';
import { planAndApply } from '../plan-and-apply.js';
import { addWriteOptions, type WriteOptions } from '../options/write-options.js';

interface SyncOptions extends CommonOptions, ImageOptions, StateOptions, WriteOptions, QmpOptions {
  compat?: 'linux';
  force?: boolean;
  strict?: boolean;
}

export const syncCommand: CommandDefinition = {
  summary: 'bring an image to the state of a machine',
  define(command, act) {
    addStateOptions(command.argument('[image]', IMAGE_ARGUMENT));
    addWriteOptions(command).option('--force', 'go on where a refusal says that it is forcible').addOption(compatOption());
    addQmpOption(addImageOptions(command))
      .option('--strict', 'exit code 1 also where not all that the image describes was compared')
      .action((path: string | undefined, options: SyncOptions) => {
        act(options, (context) => sync(context, path, options));
      });
  },
};

function sync(context: Context, path: string | undefined, options: SyncOptions): Outcome | Promise<Outcome> {
  const { qmp } = options;
  const image = qmp === undefined ? requireImage(path) : path;
  const told = stateFrom(options, context.fileSystem);
  /** What was given, else what the kernel in the memory says. */
  const stateOf = (each: KdumpImage): MachineState => {
    const state = stateOfKernel(each.kernel, told);
    if (qmp !== undefined || state.iomem !== undefined || state.deviceTree !== undefined || state.cpus !== undefined) return state;
    throw new KdumpError('usage', 'no machine state given', { expected: '--iomem, and --device-tree or, for x86_64, --cpus' });
  };
  const planOptions = { ...optionsToState(told), compat: options.compat, force: options.force };
  const where = { ...options, machine: told };
  const uncompared: Finding[] = [];
  const plan: typeof planPossible = (each, changes, given) => {
    const state = stateOf(each);
    const { iomem, deviceTree } = state;
    const possible = planPossible(each, changes, { ...given, iomem, deviceTree });
    const leftOut = options.force === true ? [] : leftOutFindings(each, state);
    // Nobody must take "nothing to do" for more than was compared; a guest's monitor is asked for what is not given.
    const compared = qmp === undefined ? comparedFindings(each, state) : [];
    uncompared.push(...compared);
    return { ...possible, findings: [...possible.findings, ...leftOut, ...compared, ...kernelFindings(each, told)] };
  };
  if (qmp === undefined) {
    const changesFor = (each: KdumpImage): readonly Change[] => changesToState(each, stateOf(each), options).changes;
    const outcome = planAndApply(context, requireImage(image), where, {
      planOptions,
      changesFor,
      plan,
      compared: (each) => comparedWith(each, stateOf(each)),
    });
    return options.strict === true && uncompared.length > 0 ? 'differs' : outcome;
  }
  return Promise.all([import('../guest/patch-guest-command.js'), import('../guest/guest-state.js')]).then(
    ([{ patchGuestCommand }, { changesToGuestState }]) =>
      patchGuestCommand(
        context,
        image,
        { ...where, qmp },
        { planOptions, plan, asksDevices: true, changesFor: (each, devices) => changesToGuestState(each, devices, stateOf(each), options) },
      ),
  );
}
