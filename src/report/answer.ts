import { totalSize } from '../memory/range-set.js';
import { formatSize } from '../text/numbers.js';
import { comparesCpus, type Checked, type ReportSubject } from './subject.js';
import { counted, cpus } from './words.js';

export type Tone = 'good' | 'warning' | 'bad' | 'open';

/** What the reader came for, before anything else. */
export interface Answer {
  readonly tone: Tone;
  readonly headline: string;
  /** What supports the headline, and what it leaves open; what is in backticks is code. */
  readonly sentences: readonly string[];
}

export function answerOf(subject: ReportSubject): Answer {
  const { check } = subject;
  const open = notCompared(subject);
  const misses = missed(subject);
  if (!check.sound) {
    const errors = check.findings.filter(({ severity }) => severity === 'error').length;
    return {
      tone: 'bad',
      headline: 'Not sound: a crash may give no dump, or a wrong one.',
      sentences: [`${counted(errors, 'error')}, with what to do about ${errors === 1 ? 'it' : 'them'}, below.`, ...misses, ...open],
    };
  }
  if (check.findings.some(({ code }) => code === 'crashkernel-differs')) {
    return {
      tone: 'bad',
      headline: 'Of another boot, or another machine: the crashkernel range lies elsewhere.',
      sentences: ['The image is sound by itself. What follows about memory and CPUs compares two different machines.', ...open],
    };
  }
  if (check.current === null) {
    return {
      tone: 'open',
      headline: 'Sound. Whether it is current was not asked.',
      sentences: ['The capture kernel would boot, and make the dump that the image describes.', ...open],
    };
  }
  if (!check.current) {
    const isShort = check.missingMemory.length + check.missingCpus.length > 0;
    return {
      tone: check.findings.some(({ severity }) => severity === 'error') ? 'bad' : 'warning',
      headline: isShort ? misses.join(' ') : 'Not current: it lists what the machine has no more.',
      sentences: ['The image is sound by itself, and not current.', ...extra(subject), ...open],
    };
  }
  return {
    tone: 'good',
    headline: `Sound and current: a dump would have ${covered(subject)}.`,
    sentences: open,
  };
}

/** Soundness and currency in a few words, for a table. */
export function verdict({ check }: Checked): string {
  const current = check.current === null ? 'not compared with a machine' : check.current ? 'current' : 'not current';
  return `${check.sound ? 'sound' : 'not sound'}, ${current}`;
}

/** What a dump would miss, a sentence each; none for nothing, or where nothing is known. */
export function missed({ check }: Checked): string[] {
  const { missingMemory, missingCpus } = check;
  return [
    missingMemory.length > 0 && `A dump would miss ${formatSize(totalSize(missingMemory))} of memory.`,
    missingCpus.length > 0 && `A crash on ${cpus(missingCpus)} would give no dump.`,
  ].filter((sentence) => sentence !== false);
}

function extra({ check }: Checked): string[] {
  const { extraMemory, extraCpus } = check;
  return [
    extraMemory.length > 0 && `It lists ${formatSize(totalSize(extraMemory))} that the machine has no more, or has taken offline.`,
    extraCpus.length > 0 && `Its FDT has ${cpus(extraCpus)}, which the machine has no more.`,
  ].filter((sentence) => sentence !== false);
}

function covered(subject: ReportSubject): string {
  const memory = subject.state.iomem !== undefined && 'all memory';
  const all = comparesCpus(subject) && 'all CPUs';
  return `${[memory, all].filter((what) => what !== false).join(' and ')} of the machine`;
}

/** An answer must not sound like more than was looked at. */
function notCompared(subject: ReportSubject): string[] {
  const memory = subject.state.iomem === undefined;
  const processors = subject.image.fdt !== null && subject.state.deviceTree === undefined;
  if (!memory && !processors) return [];
  const what = memory && processors ? 'Memory and CPUs were' : memory ? 'Memory was' : 'CPUs were';
  const options = [memory && '`--iomem`', processors && '`--device-tree`'].filter((option) => option !== false).join(' and ');
  return [`${what} not compared with a machine; that takes ${options}.`];
}
