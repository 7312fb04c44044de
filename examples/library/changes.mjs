// Change files: parses changes, prints them, and shows what a mistake looks like. docs/changes.schema.json describes the format.
//
//   node changes.mjs changes.json
import { readFileSync } from 'node:fs';
import { KdumpError, changeToJson, formatChange, parseChanges } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
for (const change of parseChanges(readFileSync(path, 'utf8'))) {
  console.log(formatChange(change));
  // One form for all spellings: addresses as "0x…", properties as bytes.
  console.log(JSON.stringify(changeToJson(change)));
}

try {
  parseChanges('{ "action": "add", "memory": { "start": "0x80000000" } }');
} catch (error) {
  if (!(error instanceof KdumpError)) throw error;
  // The fields say what the message says, so nobody has to take it apart.
  console.log(`${error.kind}: ${error.details.segment}: ${error.problem}`);
}
