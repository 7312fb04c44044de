/**
 * All style of the page. Colours are variables: light, dark and print differ in nothing else. The ones of text have a contrast of at least 4.5
 * to their ground (WCAG 2.2 AA), those of marks one of 3.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #1a1f27; --soft: #545e6b; --line: #d7dce3; --link: #1858a8; --focus: #b4460b;
  --machine: #697383; --ram: #3c78bd; --backup: #7b55b3; --firmware: #0f827b; --crashkernel: #e6e1d3; --description: #996209; --segment: #7a735f;
  --missing: #cb3322; --missing-2: #f3b9b0; --extra: #9a6a00; --extra-2: #f0d9a4; --added: #1c7d45; --removed: #ad2c5a; --removed-2: #f0c4d3; --offline-2: #d5dae1;
  --on-mark: #fff; --on-crashkernel: #4a452f;
  --good: #186c3b; --good-ground: #e5f4ea; --warning: #805200; --warning-ground: #fdf1d7; --bad: #b02618; --bad-ground: #fdeae7; --open: #3c4b60; --open-ground: #e8ecf2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --card: #1a1f26; --ink: #e4e8ee; --soft: #a3adba; --line: #343c47; --link: #8bbcf5; --focus: #ffb27d;
    --machine: #7d8899; --ram: #5a9ae0; --backup: #ab8be0; --firmware: #3db5ab; --crashkernel: #3a382f; --description: #e0a33a; --segment: #a39b85;
    --missing: #f26b5b; --missing-2: #5f211a; --extra: #dba93a; --extra-2: #4f3c10; --added: #4cb97b; --removed: #e8799f; --removed-2: #5a2338; --offline-2: #39414c;
    --on-mark: #0d1015; --on-crashkernel: #d9d3bd;
    --good: #7fd6a2; --good-ground: #16301f; --warning: #f0c36a; --warning-ground: #362a10; --bad: #ff9d90; --bad-ground: #3b1a16; --open: #b4c2d6; --open-ground: #232b36;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: .875em; unicode-bidi: isolate; overflow-wrap: anywhere; }
code.address, code.words { white-space: nowrap; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -99in; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 9; }

header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.75rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h1 code { font-size: .95em; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .5rem 0; max-width: 90ch; }
header .what { color: var(--soft); margin: .25rem 0 1.25rem; }
.answer { border-left: 6px solid; border-radius: 8px; padding: 1rem 1.25rem; }
.answer p { margin: .25rem 0 0; color: var(--ink); }
.answer .headline { font-size: 1.375rem; line-height: 1.3; font-weight: 650; margin: 0; }
.answer.good { background: var(--good-ground); border-color: var(--good); } .answer.good .headline { color: var(--good); }
.answer.warning { background: var(--warning-ground); border-color: var(--warning); } .answer.warning .headline { color: var(--warning); }
.answer.bad { background: var(--bad-ground); border-color: var(--bad); } .answer.bad .headline { color: var(--bad); }
.answer.open { background: var(--open-ground); border-color: var(--open); } .answer.open .headline { color: var(--open); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .75rem; margin: 1rem 0 0; }
.tiles > div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem; display: flex; flex-direction: column; }
.tiles dt { color: var(--soft); font-size: .875rem; }
.tiles dd { margin: 0; }
.tiles .value { font-size: 1.5rem; line-height: 1.3; font-weight: 650; }
.tiles .more { color: var(--soft); font-size: .875rem; }
.tiles .alarm { color: var(--bad); font-size: .875rem; font-weight: 600; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.25rem 0 0; padding: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem; margin: 1.25rem 0; }
.note, figcaption { color: var(--soft); font-size: .875rem; }
footer { color: var(--soft); font-size: .875rem; padding-bottom: 2rem; }

.findings { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem; }
.finding { border: 1px solid var(--line); border-left: 5px solid var(--open); border-radius: 8px; padding: .75rem 1rem; }
.finding.error { border-left-color: var(--bad); } .finding.warning { border-left-color: var(--warning); }
.finding h3 { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; font-weight: 650; color: var(--open); }
.finding.error h3 { color: var(--bad); } .finding.warning h3 { color: var(--warning); }
.finding h3 code { color: var(--soft); font-weight: 400; }
.finding .sign { display: inline-grid; place-items: center; width: 1.375rem; height: 1.375rem; border-radius: 50%; background: var(--open); color: var(--card); font-size: .8125rem; font-weight: 700; }
.finding.error .sign { background: var(--bad); } .finding.warning .sign { background: var(--warning); }
.finding .message { margin: .375rem 0; overflow-wrap: anywhere; }
.finding dl { margin: .5rem 0 0; display: grid; gap: .25rem; font-size: .9375rem; }
.finding dl div { display: grid; grid-template-columns: 5.5rem 1fr; }
.finding dt { color: var(--soft); } .finding dd { margin: 0; }
.finding ul { margin: .375rem 0; padding-left: 1.25rem; }

.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .75rem 0 0; font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.patterns { position: absolute; }
figure { margin: 1.5rem 0 0; }
.figure-head { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: center; gap: .5rem 1rem; margin-bottom: .5rem; }
.zoom { display: none; border: 0; margin: 0; padding: 0; font-size: .875rem; }
@supports selector(:has(*)) { .zoom { display: flex; align-items: center; } }
.zoom legend { float: left; padding: 0; margin-right: .5rem; color: var(--soft); }
.zoom label span { display: block; min-width: 2.75rem; text-align: center; padding: .25rem .5rem; border: 1px solid var(--soft); margin-left: -1px; cursor: pointer; }
.zoom label:first-of-type span { border-radius: 6px 0 0 6px; } .zoom label:last-of-type span { border-radius: 0 6px 6px 0; }
.zoom label { position: relative; }
.zoom input { position: absolute; inset: 0; opacity: 0; margin: 0; cursor: pointer; }
.zoom input:checked + span { background: var(--ink); color: var(--card); border-color: var(--ink); }
.zoom input:focus-visible + span { outline: 3px solid var(--focus); outline-offset: 2px; position: relative; z-index: 1; }
.zoomable:has(input[value="4"]:checked) .canvas { width: 400%; }
.zoomable:has(input[value="16"]:checked) .canvas { width: 1600%; }
.zoomable:has(input[value="64"]:checked) .canvas { width: 6400%; }
.map { position: relative; }
.map .view { overflow-x: auto; overflow-y: hidden; padding: 0 2px; }
.lane-names span { position: absolute; left: 0; font-size: .8125rem; line-height: 1; color: var(--soft); pointer-events: none; background: var(--card); padding: 0 .375rem 2px 0; z-index: 1; }
.lane-0 { top: 2px; } .lane-1 { top: 50px; } .lane-2 { top: 98px; } .lane-3 { top: 146px; } .lane-4 { top: 194px; } .lane-5 { top: 242px; }
.canvas { display: block; overflow: visible; font-size: 12px; }
.canvas text { fill: var(--ink); }
.rail { stroke: var(--line); stroke-width: 2; }
.bar { stroke: none; shape-rendering: crispEdges; }
/* A seam between adjacent ranges. */
.bar.wide { stroke: var(--card); stroke-width: 1; }
.ground { opacity: 1; }
.bar.machine { fill: var(--machine); } .bar.ram { fill: var(--ram); } .bar.backup { fill: var(--backup); } .bar.firmware { fill: var(--firmware); }
.bar.crashkernel { fill: var(--crashkernel); } .bar.description { fill: var(--description); } .bar.segment { fill: var(--segment); } .bar.added { fill: var(--added); }
.bar.missing { fill: url(#pattern-missing); stroke: var(--missing); stroke-width: 1.5; } .bar.extra { fill: url(#pattern-extra); stroke: var(--extra); stroke-width: 1.5; }
.bar.removed { fill: url(#pattern-removed); stroke: var(--removed); stroke-width: 1.5; } .bar.offline { fill: url(#pattern-offline); stroke: var(--machine); stroke-width: 1; }
.ground.missing { fill: var(--missing-2); } .stripe.missing { fill: var(--missing); } .ground.extra { fill: var(--extra-2); } .stripe.extra { fill: var(--extra); }
.ground.removed { fill: var(--removed-2); } .stripe.removed { fill: var(--removed); } .ground.offline { fill: var(--card); } .stripe.offline { fill: var(--offline-2); }
.tick { stroke-width: 3; shape-rendering: crispEdges; }
.tick.machine, .tick.offline { stroke: var(--machine); } .tick.ram { stroke: var(--ram); } .tick.backup { stroke: var(--backup); } .tick.firmware { stroke: var(--firmware); }
.tick.missing { stroke: var(--missing); } .tick.extra { stroke: var(--extra); } .tick.added { stroke: var(--added); } .tick.removed { stroke: var(--removed); }
.tick.crashkernel { stroke: var(--segment); } .tick.description { stroke: var(--description); } .tick.segment { stroke: var(--segment); }
.name text { fill: var(--on-mark); font-weight: 600; pointer-events: none; }
.name text.crashkernel { fill: var(--on-crashkernel); }
.name text.missing, .name text.extra, .name text.removed, .name text.offline { fill: var(--ink); stroke: var(--card); stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
.axis, .rail { pointer-events: none; }
.axis line { stroke: var(--line); stroke-width: 1; shape-rendering: crispEdges; } .axis text { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.axis .fine { display: none; }
.zoomable:has(:is(input[value="16"], input[value="64"]):checked) .axis .fine { display: inline; }
.cut > rect { fill: var(--card); } .cut path { stroke: var(--soft); stroke-width: 1.5; fill: none; }
.mark { cursor: pointer; outline: none; }
.mark .ring { fill: none; stroke: none; pointer-events: none; }
.mark:hover .bar, .mark:hover .tick { filter: brightness(1.15); }
.mark:focus-visible .ring { stroke: var(--focus); stroke-width: 3; }
.mark .facts { visibility: hidden; pointer-events: none; }
.mark:hover .facts, .mark:focus-visible .facts { visibility: visible; }
.view:has(.mark:hover) .mark:focus-visible:not(:hover) .facts { visibility: hidden; }
.facts .what { font-weight: 600; font-size: 13px; } .facts .where { font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0 0; font-size: .9375rem; min-width: min(100%, 30rem); }
td code, th code { white-space: nowrap; }
caption { text-align: left; font-weight: 650; padding-bottom: .375rem; }
th, td { text-align: left; font-weight: 400; padding: .3125rem 1.25rem .3125rem .5rem; border-top: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-size: .8125rem; border-top: 0; border-bottom: 1px solid var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td:last-child { min-width: 8rem; } td.number:last-child { min-width: 0; }
tr:target { background: var(--open-ground); outline: 2px solid var(--focus); outline-offset: -2px; }
tr.missing th:first-child { box-shadow: inset 4px 0 var(--missing); } tr.extra th:first-child, tr.gone th:first-child { box-shadow: inset 4px 0 var(--extra); }
tr.changed td:last-child { font-weight: 650; } tr.same { color: var(--soft); }
details { margin: 1rem 0 0; } summary { cursor: pointer; color: var(--link); } details table { margin-top: .5rem; }
.share { margin: .5rem 0 1rem; } .share svg { display: block; border-radius: 4px; }

.changes { list-style: none; margin: .75rem 0; padding: 0; }
.changes li { padding: .25rem .75rem; border-left: 4px solid var(--line); margin: 2px 0; overflow-wrap: anywhere; }
.changes .sign { display: inline-block; width: 1.25rem; font-weight: 700; } .changes .kind { font-weight: 650; }
.changes .added { border-color: var(--added); background: var(--good-ground); } .changes .removed { border-color: var(--removed); background: var(--bad-ground); } .changes .altered { border-color: var(--warning); background: var(--warning-ground); }
.changes li:target { outline: 2px solid var(--focus); }

.cores { list-style: none; margin: 1rem 0 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .5rem; font-size: .875rem; }
.cores.runs { grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
.core { border: 1px solid var(--line); border-left: 5px solid var(--ram); border-radius: 6px; padding: .5rem .625rem; display: flex; flex-direction: column; gap: .25rem; }
.core .threads { display: flex; flex-wrap: wrap; gap: 3px; }
.core i { font-style: normal; font-size: .75rem; min-width: 1.5rem; text-align: center; padding: 0 .25rem; border-radius: 3px; border: 1px solid var(--line); }
.core i.missing { border: 1px dashed var(--missing); color: var(--bad); } .core i.gone, .core i.removed { border-style: dashed; text-decoration: line-through; }
.core.differs, .core.altered { border-left-color: var(--warning); } .core.added { border-left-color: var(--added); } .core.gone { border-style: dashed; border-left: 5px dashed var(--extra); }
.core.removed { border-style: dashed; border-left: 5px dashed var(--removed); } .core.missing { border: 1px dashed var(--missing); border-left: 5px dashed var(--missing); background: var(--bad-ground); }
.core .state { font-weight: 600; color: var(--warning); } .core.missing .state { color: var(--bad); } .core.added .state { color: var(--good); }
dl.facts { margin: 0; } dl.facts > div { display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .375rem 0; border-top: 1px solid var(--line); }
dl.facts > div:first-child { border-top: 0; } dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }

@media (max-width: 40rem) {
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  section { padding: 1rem .75rem; }
  .answer .headline { font-size: 1.1875rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles .value { font-size: 1.25rem; } .tiles > div { padding: .625rem .75rem; }
  dl.facts > div, .finding dl div { grid-template-columns: 1fr; }
  th, td { padding-right: .625rem; } table { font-size: .875rem; }
  .zoomable:not(:has(input:not([value="1"]):checked)) .axis .more, .zoomable:not(:has(input:not([value="1"]):checked)) .name.short { display: none; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media (forced-colors: active) { .bar { stroke: CanvasText; stroke-width: 1; } .zoom input:checked + span { forced-color-adjust: none; background: Highlight; color: HighlightText; } }
@media print {
  :root { --page: #fff; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11pt; } header, main, footer { max-width: none; padding: 0; }
  nav, .zoom, .skip, .no-print { display: none !important; }
  section { border: 0; padding: 0; border-top: 1px solid var(--line); border-radius: 0; padding-top: .75rem; }
  figure, .finding, tr, .core, .tiles, .answer { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  .canvas { width: 100% !important; margin-bottom: -32px; } .scroll, .map .view { overflow: visible; }
  .tiles { grid-template-columns: repeat(4, 1fr); } .tiles > div { padding: .5rem .625rem; } .tiles .value { font-size: 1.125rem; }
  table { font-size: 9pt; } th, td { padding-right: .5rem; }
}
`;
