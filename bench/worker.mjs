// node bench/worker.mjs <case> <words>: one of the cases in this process. Speaks as the peers in C do: a line asks for one round.
import { createInterface } from 'node:readline';

const [name, ...words] = process.argv.slice(2);
const { prepare } = await import(`./cases/${name}.mjs`);
/** A function that does the work once, what it may do before that does not count, and one for the end. */
const { before = () => undefined, work, end = () => undefined } = await prepare(...words);

for await (const line of createInterface({ input: process.stdin })) {
  const prepared = before(line);
  const start = process.hrtime.bigint();
  work(prepared);
  const nanoseconds = process.hrtime.bigint() - start;
  console.log(`${nanoseconds} ${process.resourceUsage().maxRSS}`);
}
end();
