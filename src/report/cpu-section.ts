import type { CpuNote } from '../check/compare-state.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { rangeOfSize } from '../memory/range.js';
import { topologyOf, runsOf, type Core, type CoreRun, type CpuState } from './cpu-topology.js';
import { html, shortened, type Content, type Html } from './html.js';
import type { ReportSubject } from './subject.js';
import { table, type Column, type Row } from './table.js';
import { address, count, counted, cpus, ids } from './words.js';

const MEANINGS: Readonly<Record<CpuState, string>> = {
  missing: 'missing: a crash on it gives no dump',
  gone: 'not in the device tree of the machine',
  differs: 'other properties than on the machine',
  added: 'added',
  removed: 'removed',
  altered: 'changed',
};

/** More cores than this are told in runs. */
const MOST_BOXES = 64;
const MOST_RUNS = 200;
/** More threads of a core than this are told by their ids alone. */
const MOST_THREADS = 32;
const LONGEST_NAME = 120;

export function cpuSection(subject: ReportSubject): Html {
  return html`<section id="cpus" aria-labelledby="cpus-heading">
    <h2 id="cpus-heading">CPUs</h2>
    ${subject.image.fdt === null ? withoutFdt(subject) : topology(subject)}
  </section>`;
}

/** Without an FDT a CPU is its note in the elfcorehdr. */
function withoutFdt({ image, check, state }: ReportSubject): Html {
  const { cpuNotes } = crashMemoryOf(image);
  const { missingNotes } = check;
  const missing = new Set((missingNotes ?? []).map(({ cpu }) => cpu));
  const online = new Set(state.cpus?.online);
  const rows = [...(state.cpus?.crashNotes ?? [])]
    .sort(([one], [other]) => one - other)
    .map(([cpu, note]): Row => {
      const [kind, what] = missing.has(cpu) ? ['missing', 'not listed: a dump would lack its registers'] : [undefined, 'listed'];
      return { cells: [cpu, address(rangeOfSize(note.address, note.size)), online.has(cpu) ? 'online' : 'offline', what], className: kind };
    });
  return html`<p>
      This image has no FDT. The elfcorehdr lists the notes of ${counted(cpuNotes.length, 'CPU')}, where a crash saves registers.
      ${notesCompared(missingNotes)}
    </p>
    ${rows.length > 0 && table('CPUs of the machine', NOTE_COLUMNS, rows)}`;
}

const NOTE_COLUMNS: readonly Column[] = [
  { title: 'CPU', isNumber: true },
  { title: 'Crash notes' },
  { title: 'State' },
  { title: 'In the elfcorehdr' },
];

function notesCompared(missing: readonly CpuNote[] | null): Content {
  if (missing === null) return html`They were not compared with the CPUs of a machine: <code class="words">--cpus</code> does that.`;
  if (missing.length === 0) return 'No CPU that is present on the machine is without its note.';
  return html`<strong>${cpus(missing.map(({ cpu }) => cpu))} of the machine ${missing.length === 1 ? 'has' : 'have'} none</strong>: a dump
    would lack the registers there.`;
}

const COLUMNS: readonly Column[] = [{ title: 'CPU', isNumber: true }, { title: 'Threads' }, { title: 'Node' }, { title: 'State' }];

function topology(subject: ReportSubject): Html {
  const cores = topologyOf(subject);
  const marked = cores.filter(({ states }) => states.length > 0);
  const isLong = cores.length > MOST_BOXES;
  return html`<p>${howMany(subject, cores)} ${comparison(subject)}</p>
    ${
      isLong
        ? runs(cores)
        : html`<ul class="cores">
            ${cores.map(box)}
          </ul>`
    }
    ${isLong && marked.length > 0 && table('CPU nodes that stand out', COLUMNS, marked.map(row))}
    ${table('CPU nodes', COLUMNS, cores.map(row))}`;
}

/** What is in the image; not what the machine or an earlier image has beside it. */
function howMany({ image }: ReportSubject, cores: readonly Core[]): string {
  const own = cores
    .map(({ threads }) => threads.filter(({ state }) => state !== 'missing' && state !== 'removed').length)
    .filter((number) => number > 0);
  const threads = own.reduce((sum, number) => sum + number, 0);
  const has = threads === own.length ? counted(threads, 'CPU') : `${counted(own.length, 'core')} with ${counted(threads, 'thread')}`;
  return `The FDT of the image has ${has}; the elfcorehdr has notes for the registers of ${counted(crashMemoryOf(image).cpuNotes.length, 'CPU')}.`;
}

function comparison(subject: ReportSubject): Content {
  const { missingCpus } = subject.check;
  if (missingCpus === null) return html`They were not compared with a machine: <code class="words">--device-tree</code> does that.`;
  if (missingCpus.length === 0) return 'No CPU of the machine is missing.';
  return html`<strong>${cpus(missingCpus)} of the machine ${missingCpus.length === 1 ? 'is' : 'are'} missing</strong>: a crash there gives
    no dump.`;
}

function box({ id, threads, states }: Core): Html {
  const hasThreads = threads.length > 1;
  return html`<li class="core ${states.join(' ')}">
    <b>CPU ${id}</b
    >${hasThreads && threads.length <= MOST_THREADS && html` <span class="threads" aria-label="threads ${ids(threads.map((thread) => thread.id))}">${threads.map((thread) => html`<i class="${thread.state ?? 'known'}" aria-hidden="true">${thread.id}</i>`)}</span>`}${hasThreads && threads.length > MOST_THREADS && html` <span>${counted(threads.length, 'thread')}</span>`}${states.map((state) => html` <span class="state">${MEANINGS[state]}</span>`)}
  </li> `;
}

/** Thousands of boxes could not be read: what is the same is one box, with how often. */
function runs(cores: readonly Core[]): Html {
  const all = runsOf(cores);
  return html`<ul class="cores runs">
    ${all.slice(0, MOST_RUNS).map(runBox)}${
      all.length > MOST_RUNS && html`<li class="core">and ${count(all.length - MOST_RUNS)} more groups, in the table</li> `
    }
  </ul>`;
}

function runBox({ cores }: CoreRun): Html {
  const [first, last] = [cores[0] as Core, cores.at(-1) as Core];
  const { threads, states } = first;
  const each = threads.length > 1 ? `, ${counted(threads.length, 'thread')} each` : '';
  const what = cores.length === 1 ? `CPU ${first.id}` : `CPUs ${first.id} to ${last.id}`;
  return html`<li class="core ${states.join(' ')}">
    <b>${what}</b>
    <span>${counted(cores.length, 'core')}${each}</span>${states.map((state) => html` <span class="state">${MEANINGS[state]}</span>`)}
  </li> `;
}

function row({ id, name, threads, states }: Core): Row {
  return {
    cells: [id, ids(threads.map((thread) => thread.id)), html`<code>${shortened(name, LONGEST_NAME)}</code>`, stateOf(threads, states)],
    className: states.join(' '),
  };
}

/** Where only some threads are missing or gone, which. */
function stateOf(threads: Core['threads'], states: Core['states']): string {
  if (states.length === 0) return 'in the FDT';
  return states
    .map((state) => {
      const own = threads.filter((thread) => thread.state === state).map((thread) => thread.id);
      return own.length > 0 && own.length < threads.length ? `${MEANINGS[state]} (threads ${ids(own)})` : MEANINGS[state];
    })
    .join('; ');
}
