import { liveCpusOf } from '../description/live-cpus.js';
import { knownCpus } from '../description/capacity.js';
import type { ReportSubject } from './subject.js';

/** What sets a CPU apart: first against the machine, then against the earlier image. */
export type CpuState = 'missing' | 'gone' | 'differs' | 'added' | 'removed' | 'altered';

export interface Thread {
  readonly id: number;
  readonly state?: CpuState | undefined;
}

/** A CPU node: a core with its threads. */
export interface Core {
  readonly id: number;
  /** Name of its node. */
  readonly name: string;
  readonly threads: readonly Thread[];
  readonly states: readonly CpuState[];
}

/** Cores one after the other that look the same: the same threads each, the same state. */
export interface CoreRun {
  readonly cores: readonly Core[];
}

/** The cores of the image's FDT, of the machine, and of the earlier image, as one list by id. */
export function topologyOf(subject: ReportSubject): Core[] {
  const cores = new Map<number, { id: number; name: string; threads: Map<number, CpuState | undefined>; states: Set<CpuState> }>();
  const coreOf = (id: number, name: string): { threads: Map<number, CpuState | undefined>; states: Set<CpuState> } => {
    const core = cores.get(id) ?? { id, name, threads: new Map(), states: new Set() };
    cores.set(id, core);
    return core;
  };
  const { image, check, before } = subject;
  const { missing, extra, changed } = {
    missing: new Set(check.missingCpus),
    extra: new Set(check.extraCpus),
    changed: new Set(check.changedCpus),
  };
  for (const { id, node, threads } of knownCpus(image)) {
    const core = coreOf(id, node.name);
    for (const thread of threads) {
      const state = extra.has(thread) ? 'gone' : undefined;
      core.threads.set(thread, state);
      if (state !== undefined) core.states.add(state);
    }
    if (changed.has(id)) core.states.add('differs');
  }
  if (subject.state.deviceTree !== undefined) {
    for (const { id, node, threads } of liveCpusOf(subject.state.deviceTree, image.architecture, false)) {
      for (const thread of threads) {
        if (!missing.has(thread)) continue;
        const core = coreOf(id, node.name);
        core.threads.set(thread, 'missing');
        core.states.add('missing');
      }
    }
  }
  if (before !== undefined) {
    const { added, removed, changed: altered } = before.difference.cpus;
    for (const { id, node } of added) coreOf(id, node.name).states.add('added');
    for (const { id } of altered) cores.get(id)?.states.add('altered');
    for (const { id, node, threads } of removed) {
      const core = coreOf(id, node.name);
      core.states.add('removed');
      for (const thread of threads) if (!core.threads.has(thread)) core.threads.set(thread, 'removed');
    }
  }
  return [...cores.values()]
    .sort((a, b) => a.id - b.id)
    .map(({ id, name, threads, states }) => ({
      id,
      name,
      threads: [...threads].map(([thread, state]) => ({ id: thread, state })).sort((a, b) => a.id - b.id),
      states: [...states],
    }));
}

/** Cores that can be told in one line: neighbours with as many threads, in the same state. */
export function runsOf(cores: readonly Core[]): CoreRun[] {
  const look = ({ threads, states, name }: Core): string =>
    `${name.replace(/@.*$/s, '')} ${threads.length} ${[...states].sort().join()} ${[...new Set(threads.map(({ state }) => state))].join()}`;
  const runs: { look: string; cores: Core[] }[] = [];
  for (const core of cores) {
    const open = runs.at(-1);
    const own = look(core);
    if (open?.look === own) open.cores.push(core);
    else runs.push({ look: own, cores: [core] });
  }
  return runs;
}
