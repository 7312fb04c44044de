// A plugin of TypeDoc: in docs/api.md, what src/index.ts exports is in the order of that file, in sections named by its line comments.
import { readFileSync } from 'node:fs';
import { Application, Comment, CommentTag, Converter } from 'typedoc';

/** @param {Application} app */
export function load(app) {
  /** @type {Map<string, string>} */
  const sectionOf = new Map();
  const index = readFileSync(new URL('../src/index.ts', import.meta.url), 'utf8');
  for (const [, title = '', exports = ''] of index.matchAll(/^\/\/ (.*)\n((?:export .*\n| {2}.*\n|\}.*\n)+)/gm)) {
    for (const [, names = ''] of exports.matchAll(/\{([^}]*)\}/g)) {
      for (const name of names.split(',')) sectionOf.set(name.replace(/\btype\b/, '').trim(), title);
    }
  }
  const order = [...sectionOf.keys()];
  app.on(Application.EVENT_BOOTSTRAP_END, () => app.options.setValue('categoryOrder', [...new Set(sectionOf.values())]));
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    project.children?.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    for (const child of project.children ?? []) {
      const comment = child.comment ?? child.signatures?.[0]?.comment ?? (child.comment = new Comment());
      comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: sectionOf.get(child.name) ?? '' }]));
    }
  });
}
