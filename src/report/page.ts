import { createHash } from 'node:crypto';
import { crashMemoryOf } from '../description/crash-memory.js';
import { capacityOf, knownCpus } from '../description/capacity.js';
import { formatSize } from '../text/numbers.js';
import { answerOf } from './answer.js';
import { changeSection } from './change-section.js';
import { coverageSection, coveredShare, dumpedSize } from './coverage.js';
import { cpuSection } from './cpu-section.js';
import { CONTAINERS } from '../container/recognise.js';
import { factsSection } from './facts.js';
import { findingsSection } from './findings.js';
import { Html, html, shortened, withCode, type Content } from './html.js';
import { mapSection } from './map/map-section.js';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';
import { memoryWanted, type ReportSubject } from './subject.js';
import { count, counted } from './words.js';

const LONGEST_PATH = 300;
// Not a byte more between the tags than what is hashed.
const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`);
const SCRIPT_ELEMENT = new Html(`<script>${SCRIPT}</script>`);

/**
 * The report on an image as one HTML page that needs nothing else: no network, no script to be read. The same subject gives the same bytes.
 *
 * The page can run its own script and style and load nothing at all, whatever got past the escaping.
 */
export function renderReport(subject: ReportSubject): string {
  const { image, version } = subject;
  const policy = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const change = changeSection(subject);
  return html`<!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <meta name="generator" content="kdump-hotplug ${version}" />
        <link rel="icon" href="data:," />
        <title>${shortened(image.memory.path, LONGEST_PATH)} &ndash; kdump image report</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the report</a>
        <header>
          <h1>Kdump image <code>${shortened(image.memory.path, LONGEST_PATH)}</code></h1>
          ${opening(subject)}
          <nav aria-label="Parts of this report">
            <ul>
              <li><a href="#findings">Findings</a></li>
              ${change !== undefined && html`<li><a href="#change">What changed</a></li> `}
              <li><a href="#map">Memory map</a></li>
              <li><a href="#coverage">Coverage</a></li>
              <li><a href="#cpus">CPUs</a></li>
              <li><a href="#facts">Facts</a></li>
            </ul>
          </nav>
        </header>
        <main id="main">
          ${findingsSection(subject)} ${change} ${mapSection(subject)} ${coverageSection(subject)} ${cpuSection(subject)}
          ${factsSection(subject)}
        </main>
        <footer><p>Made by kdump-hotplug ${version}. The same image and options give the same page.</p></footer>
        ${SCRIPT_ELEMENT}
      </body>
    </html> `.markup;
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** What it is, the answer, and the numbers behind it. */
function opening(subject: ReportSubject): Html {
  const { image } = subject;
  const { tone, headline, sentences } = answerOf(subject);
  const page = image.pageSize === null ? '' : ` with ${formatSize(image.pageSize)} pages`;
  const format = CONTAINERS[image.format].imageName;
  return html`<p class="what">${format.charAt(0).toUpperCase()}${format.slice(1)}, ${image.architecture.name}${page}</p>
    <div class="answer ${tone}">
      <p class="headline">${headline}</p>
      ${sentences.length > 0 && html`<p>${withCode(sentences.join(' '))}</p>`}
    </div>
    <dl class="tiles">${tiles(subject)}</dl>`;
}

function tiles(subject: ReportSubject): Content {
  const { image, check } = subject;
  const { memoryRanges, cpus } = capacityOf(image);
  const coverage = coverageOf(subject);
  const threads = knownCpus(image).flatMap((cpu) => cpu.threads).length;
  const hasMissingCpus = check.missingCpus !== null && check.missingCpus.length > 0;
  const severities = (['error', 'warning', 'info'] as const)
    .map((severity) => [check.findings.filter((finding) => finding.severity === severity).length, severity] as const)
    .filter(([number]) => number > 0);
  return [
    tile('Memory in the dump', formatSize(dumpedSize(image)), coverage, check.missingMemory !== null && check.missingMemory.length > 0),
    image.fdt === null
      ? tile('CPU notes', count(crashMemoryOf(image).cpuNotes.length), missingCpus(check), hasMissingCpus)
      : tile('CPUs in the FDT', count(threads), missingCpus(check), hasMissingCpus),
    tile(
      'Findings',
      severities.length === 0 ? 'none' : count(check.findings.length),
      severities.map(([number, severity]) => counted(number, severity, severity === 'info' ? 'info' : `${severity}s`)).join(', '),
    ),
    tile(
      'Room for',
      counted(memoryRanges, 'range'),
      cpus === null ? '' : `and ${counted(cpus, 'CPU')} more`,
      memoryRanges === 0 || cpus === 0,
    ),
  ];
}

/** The dump may list more than the machine has, such as what is offline: the share is of the machine's memory, and says of how much. */
function coverageOf(subject: ReportSubject): string {
  const { missingMemory } = subject.check;
  if (missingMemory === null) return 'not compared with a machine';
  const { share, has, all } = coveredShare(memoryWanted(subject), missingMemory);
  return has === all ? 'all of the machine’s' : `${formatSize(has)} of the machine’s ${formatSize(all)}: ${share}`;
}

function missingCpus({ missingCpus: missing }: ReportSubject['check']): string {
  if (missing === null) return 'not compared with a machine';
  return missing.length === 0 ? 'none of the machine’s missing' : `${count(missing.length)} of the machine’s missing`;
}

function tile(title: string, value: string, more: string, isAlarm = false): Html {
  return html`<div>
    <dt>${title}</dt>
    <dd class="value">${value}</dd>
    ${more !== '' && html`<dd class="${isAlarm ? 'alarm' : 'more'}">${more}</dd>`}
  </div> `;
}
