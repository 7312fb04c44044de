// npm run fuzz -- [--seconds N] [--seed N] [--forget] [target…]: fuzzing that follows coverage, 10 minutes for each target unless told otherwise.
// What it needs to reach all that it reached goes into fixtures/corpus, but with --forget.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build, transform } from 'esbuild';
import { createInstrumenter } from 'istanbul-lib-instrument';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const COUNTS = '__kdumpHotplugCounts__';

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    forget: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

/** Has every file of src count its branches. */
const counting = {
  name: 'counting',
  setup(bundle) {
    const instrumenter = createInstrumenter({ esModules: true, coverageVariable: COUNTS, reportLogic: true, preserveComments: false });
    bundle.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { loader: 'ts', target: 'node20' });
      return { contents: instrumenter.instrumentSync(code, path), loader: 'js' };
    });
  },
};

// As deep in the tree as the tests are, which find their fixtures from there.
const folder = at('coverage/fuzz');
const outfile = `${folder}/guided-${process.pid}.mjs`;
mkdirSync(folder, { recursive: true });
const { outputFiles } = await build({
  entryPoints: [at('test/fuzz/guided/guided.ts')],
  bundle: true,
  write: false,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  plugins: [counting],
});
writeFileSync(outfile, outputFiles[0].contents);
const { fuzzGuided, targetNames, writeCorpus } = await import(pathToFileURL(outfile).href).finally(() => rmSync(outfile));

for (const name of positionals.length > 0 ? positionals : targetNames()) {
  const result = fuzzGuided(name, Number(values.seconds), Number(values.seed), globalThis[COUNTS]);
  if (!values.forget) writeCorpus(name, result.corpus);
  const { executions, seconds, branches, features, added, corpus } = result;
  console.log(
    `${name}: ${executions} executions in ${seconds.toFixed(0)} s (${Math.round(executions / seconds)}/s), ` +
      `branches ${branches.join(' -> ')}, with counts ${features.join(' -> ')}, ${added} new inputs, ${corpus.length} in the corpus`,
  );
}
