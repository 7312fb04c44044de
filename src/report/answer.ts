import { cpuOption } from '../check/check.js';
import { subtract, totalSize } from '../memory/range-set.js';
import { formatSize } from '../text/numbers.js';
import type { Checked, ReportSubject } from './subject.js';
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
    const { memory, cpus: processors } = check.compared;
    return {
      tone: 'open',
      headline:
        memory || processors
          ? `Sound; of the machine, ${memory ? 'memory' : 'CPUs'} alone agrees.`
          : 'Sound. Whether it is current was not asked.',
      sentences: ['The capture kernel would boot, and make the dump that the image describes.', ...open],
    };
  }
  if (!check.current) {
    return {
      tone: check.findings.some(({ severity }) => severity === 'error') ? 'bad' : 'warning',
      headline: misses.length > 0 ? misses.join(' ') : 'Not current: it lists what the machine does not have.',
      sentences: ['The image is sound by itself, and not current.', ...extra(subject), ...open],
    };
  }
  return {
    tone: 'good',
    headline: `Sound and current: a dump would have all memory and all CPUs of the machine.`,
    sentences: open,
  };
}

/** Soundness and currency in a few words, for a table. */
export function verdict({ check }: Checked): string {
  const { current, compared } = check;
  const part = compared.memory ? 'memory current, CPUs not compared' : compared.cpus ? 'CPUs current, memory not compared' : undefined;
  const word = current === null ? (part ?? 'not compared with a machine') : current ? 'current' : 'not current';
  return `${check.sound ? 'sound' : 'not sound'}, ${word}`;
}

/** What a dump would miss, a sentence each; none for nothing, or where nothing is known. */
export function missed({ image, check }: Checked): string[] {
  const { missingMemory, missingCpus, missingNotes } = check;
  const withoutNode = image.fdt === null ? [] : (missingCpus ?? []);
  const withoutNote = (missingNotes ?? []).map(({ cpu }) => cpu);
  return [
    ...(missingMemory ?? []).slice(0, 1).map(() => `A dump would miss ${formatSize(totalSize(missingMemory ?? []))} of memory.`),
    ...(withoutNode.length > 0 ? [`A crash on ${cpus(withoutNode)} would give no dump.`] : []),
    ...(withoutNote.length > 0 ? [`A dump would lack the registers of ${cpus(withoutNote)}.`] : []),
  ];
}

function extra({ check, state }: ReportSubject): string[] {
  const gone = subtract(check.extraMemory ?? [], state.offlineMemory ?? []);
  const offline = subtract(check.extraMemory ?? [], gone);
  const { extraCpus, unknownNotes } = check;
  return [
    gone.length > 0 && `It lists ${formatSize(totalSize(gone))} that are no System RAM of the machine.`,
    offline.length > 0 && `It lists ${formatSize(totalSize(offline))} that are offline.`,
    extraCpus !== null && extraCpus.length > 0 && `Its FDT has ${cpus(extraCpus)}, which the machine's device tree does not have.`,
    unknownNotes !== null && unknownNotes.length > 0 && `It lists ${counted(unknownNotes.length, 'CPU note')} of no CPU of the machine.`,
  ].filter((sentence) => sentence !== false);
}

/** An answer must not sound like more than was looked at. */
function notCompared({ image, check }: ReportSubject): string[] {
  const { memory, cpus: processors } = check.compared;
  if (memory && processors) return [];
  const what = memory ? 'CPUs were' : processors ? 'Memory was' : 'Memory and CPUs were';
  const options = [...(memory ? [] : ['`--iomem`']), ...(processors ? [] : [`\`${cpuOption(image)}\``])].join(' and ');
  return [`${what} not compared with a machine; that takes ${options}.`];
}
