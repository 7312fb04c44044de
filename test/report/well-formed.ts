/** Elements that have no end tag. */
const VOID = new Set(['meta', 'link', 'input', 'img', 'br', 'hr']);

const TOKEN =
  /<!DOCTYPE html>|<(style|script)>[^]*?<\/\1>|<\/([a-zA-Z][a-zA-Z0-9]*)\s*>|<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*(?:="[^"<>]*")?)*)\s*(\/?)>/g;

/**
 * What is wrong with a page that is to be stricter than HTML: every tag closed and in order, every attribute in double quotes, no bare `<`,
 * every `&` part of an entity, every id once, and every link to a part of the page leads to one.
 */
export function mistakesIn(page: string): string[] {
  const mistakes: string[] = [];
  const open: string[] = [];
  const ids = new Set<string>();
  const links: string[] = [];
  let end = 0;
  for (const match of page.matchAll(TOKEN)) {
    checkText(page.slice(end, match.index), mistakes);
    end = match.index + match[0].length;
    const [, , closing, opening, attributes = '', selfClosing] = match;
    if (closing !== undefined && open.pop() !== closing) mistakes.push(`</${closing}> at ${match.index} closes another element`);
    if (opening !== undefined && !VOID.has(opening) && selfClosing !== '/') open.push(opening);
    checkText(attributes, mistakes);
    const names = [...attributes.matchAll(/\s([a-zA-Z][a-zA-Z0-9-]*)(?==|\s|$)/g)].map(([, name]) => name);
    if (opening !== undefined && new Set(names).size !== names.length) mistakes.push(`an attribute twice: ${match[0]}`);
    const [, id] = /\sid="([^"]*)"/.exec(attributes) ?? [];
    if (id !== undefined && ids.has(id)) mistakes.push(`id ${id} twice`);
    if (id !== undefined) ids.add(id);
    const [, link] = /\shref="#([^"]*)"/.exec(attributes) ?? [];
    if (link !== undefined) links.push(link);
  }
  checkText(page.slice(end), mistakes);
  return [
    ...mistakes,
    ...open.map((name) => `<${name}> is not closed`),
    ...links.filter((id) => !ids.has(id)).map((id) => `nothing has the id ${id}`),
  ];
}

function checkText(text: string, mistakes: string[]): void {
  if (text.includes('<')) mistakes.push(`not a tag: ${text.slice(text.indexOf('<'), text.indexOf('<') + 60)}`);
  if (/&(?!(?:amp|lt|gt|quot|#39|times|rsquo|ndash);)/.test(text)) mistakes.push(`a bare & in: ${text.slice(0, 60)}`);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(text)) mistakes.push(`a control character in: ${JSON.stringify(text.slice(0, 60))}`);
}
