// Writes docs/api.md: every export of src/index.ts in the sections of that file, as its docstring and its declaration, which is what an editor
// shows. With --verify it writes nothing and fails where the page says something else.
//
// The declarations are those that TypeScript publishes in dist/lib, so members marked @internal are left out here as there. An export without
// a docstring is an error, and so is one whose declaration needs a type that is not exported.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const index = at('src/index.ts');
const page = at('docs/api.md');

const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(at('tsconfig.build.json'), ts.sys.readFile).config, ts.sys, at('.'));
const program = ts.createProgram([index], {
  ...options,
  noEmit: false,
  emitDeclarationOnly: true,
  noCheck: true,
  outDir: '/declarations',
  rootDir: at('src'),
});
const checker = program.getTypeChecker();

/** Published declarations by the name of the file that they come from. */
const published = new Map();
program.emit(
  undefined,
  (path, text, _mark, _onError, sources) => {
    published.set(sources[0].fileName, ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  },
  undefined,
  true,
);

const source = program.getSourceFile(index);
const exported = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(source)).map((symbol) => [symbol.name, symbol]));
const problems = [];

const text = [
  '# API reference',
  '',
  "Everything that `import { … } from 'kdump-hotplug'` gives, generated from the docstrings in the source. Complete programs are in",
  'the folder `examples/library` of the source, one for each capability.',
  '',
  ...introduction(source),
  '',
  ...sections(source).map(({ title, names }) => `- ${link(title)}: ${names.filter(isValue).map(link).join(', ')}`),
];
for (const { title, names } of sections(source)) {
  text.push('', `## ${title}`);
  for (const name of names) text.push('', `### ${name}`, '', ...entry(name));
}

if (problems.length > 0) {
  for (const problem of problems) console.error(`api: ${problem}`);
  process.exit(1);
}
const result = await format(`${text.join('\n')}\n`, { ...(await resolveConfig(page)), parser: 'markdown' });
if (!process.argv.includes('--verify')) writeFileSync(page, result);
else if (readFileSync(page, 'utf8') !== result) {
  console.error('api: docs/api.md is not up to date; npm run docs:api makes it anew');
  process.exit(1);
}

/** The first paragraph of the comment at the top of the file. */
function introduction(file) {
  const comment = /^\/\*\n([\s\S]*?)\*\//.exec(file.text)?.[1] ?? '';
  return comment
    .split(/\n \*\n/)[0]
    .split('\n')
    .map((line) => line.replace(/^ \* ?/, ''));
}

/** What is exported, under the line comments that stand above it. */
function sections(file) {
  const found = [];
  for (const statement of file.statements) {
    const comments = ts.getLeadingCommentRanges(file.text, statement.pos) ?? [];
    for (const { kind, pos, end } of comments) {
      if (kind === ts.SyntaxKind.SingleLineCommentTrivia) found.push({ title: file.text.slice(pos + 2, end).trim(), names: [] });
    }
    found.at(-1).names.push(...statement.exportClause.elements.map((element) => element.name.text));
  }
  return found;
}

/** To the heading of that text, as GitHub names it. */
function link(heading) {
  return `[${heading}](#${heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-')})`;
}

/** Whether there is something to call, not only a type. */
function isValue(name) {
  return (
    !exported.get(name).declarations.some((each) => ts.isTypeOnlyExportDeclaration(each)) &&
    (resolved(name).flags & ts.SymbolFlags.Value) !== 0
  );
}

function resolved(name) {
  const symbol = exported.get(name);
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function entry(name) {
  const symbol = resolved(name);
  const [original] = symbol.declarations;
  const isTypeOnly = !isValue(name);
  const declaration = published.get(original.getSourceFile().fileName).statements.find((each) => declares(each, symbol.name));
  const documentation = docstring(declaration);
  if (documentation.length === 0) problems.push(`${name} has no docstring`);
  for (const missing of foreignTypes(declaration, isTypeOnly)) problems.push(`${name} needs ${missing}, which is not exported`);
  return [...documentation, '', '```ts', code(declaration, symbol, isTypeOnly), '```'];
}

function declares(statement, name) {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations.some((each) => each.name.text === name);
  return statement.name?.text === name;
}

/** The docstring as Markdown: the text, what is thrown, parameters and result. */
function docstring(declaration) {
  const [comment] = ts.getJSDocCommentsAndTags(declaration).filter(ts.isJSDoc).slice(-1);
  if (comment === undefined) return [];
  const lines = [plain(comment.comment), ''];
  for (const tag of comment.tags ?? []) {
    const said = plain(tag.comment);
    if (ts.isJSDocParameterTag(tag)) lines.push(`- \`${tag.name.text}\`: ${said}`);
    else if (tag.tagName.text === 'returns') lines.push(`- Returns ${said}`);
    else if (ts.isJSDocThrowsTag(tag)) lines.push(`- Throws ${ts.getTextOfJSDocComment(tag.typeExpression) ?? ''}${said}`);
  }
  return lines;
}

/** The text of a comment on one line a paragraph; links become the names that they lead to. */
function plain(comment) {
  const text = ts.getTextOfJSDocComment(comment) ?? '';
  return text
    .replace(/\{@link\s+([\w.]+)\s*\}/g, (_, name) => (exported.has(name) ? `[\`${name}\`](#${name.toLowerCase()})` : `\`${name}\``))
    .split(/\n\s*\n/)
    .map((paragraph) =>
      paragraph
        .replace(/^\s*- /gm, '\n- ')
        .replace(/\n(?!- )\s*/g, ' ')
        .trim(),
    )
    .join('\n\n');
}

/** The declaration without `export declare`, with the comments of its members. Types that are worked out from values are written out. */
function code(declaration, symbol, isTypeOnly) {
  if (ts.isTypeAliasDeclaration(declaration) && /\btypeof\b/.test(declaration.type.getText())) {
    const { NoTruncation, InTypeAlias, MultilineObjectLiterals } = ts.TypeFormatFlags;
    const type = checker.getDeclaredTypeOfSymbol(symbol);
    return `type ${symbol.name} = ${checker.typeToString(type, undefined, NoTruncation | InTypeAlias | MultilineObjectLiterals)};`;
  }
  let written = declaration.getText().replace(/^export (declare )?/, '');
  for (const member of declaration.members ?? []) {
    const hidden = hasModifier(member, ts.SyntaxKind.PrivateKeyword) || (isTypeOnly && isOfTheClass(member));
    if (hidden) written = written.replace(member.getFullText(), '');
  }
  return written;
}

/** Constructors and static members: of no use where only the type is exported. */
function isOfTheClass(member) {
  return ts.isConstructorDeclaration(member) || hasModifier(member, ts.SyntaxKind.StaticKeyword);
}

function hasModifier(node, kind) {
  return node.modifiers?.some((each) => each.kind === kind) ?? false;
}

/** Names of this library's types that `declaration` mentions and that are not exported. */
function foreignTypes(declaration, isTypeOnly) {
  const imported = new Set();
  const file = declaration.getSourceFile();
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) {
      for (const { name } of statement.importClause?.namedBindings?.elements ?? []) imported.add(name.text);
    } else if (statement.name !== undefined) imported.add(statement.name.text);
  }
  const missing = new Set();
  const visit = (node) => {
    if (hasModifier(node, ts.SyntaxKind.PrivateKeyword) || (isTypeOnly && isOfTheClass(node))) return;
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) {
      const { text: name } = node.typeName;
      if (imported.has(name) && !exported.has(name)) missing.add(name);
    }
    ts.forEachChild(node, visit);
  };
  const isWrittenOut = ts.isTypeAliasDeclaration(declaration) && /\btypeof\b/.test(declaration.type.getText());
  if (!isWrittenOut) visit(declaration);
  return missing;
}
