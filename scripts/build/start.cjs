#!/usr/bin/env node
'use strict';
// Runs program.cjs, which lies beside this file. Its compiled form comes from V8's code cache, if there is one for this very V8. Whoever can
// write the cache can run code as its reader, so it counts only where it is as safe from others as the program is.
const fs = require('node:fs');
const { Script } = require('node:vm');

const ID_LENGTH = 32;
/** Done, and the two answers of check and diff. A run that failed did not use what the next one needs. */
const SUCCESS = [0, 1];

const path = `${__dirname}/program.cjs`;
const source = fs.readFileSync(path, 'latin1');
// A cache for each command holds the functions that it uses: those that it lacks are compiled when they are called, those of other commands would
// have to be read. A word that is no command ends with an exit code that writes no cache.
const [command] = /^[a-z]{1,16}$/.exec(process.argv[2]) ?? ['program'];
// V8 itself compares no more than the length of the source: the name binds a cache to the program, by the hash at its end.
const cache = `${__dirname}/${source.slice(-ID_LENGTH)}-${process.versions.v8}-${process.arch}-${command}.cache`;

const othersCanWrite = ({ mode }) => (mode & 0o022) !== 0;

function readCache() {
  let descriptor;
  try {
    descriptor = fs.openSync(cache, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    const status = fs.fstatSync(descriptor);
    if (!status.isFile() || othersCanWrite(status) || status.uid !== fs.statSync(path).uid) return undefined;
    const twice = fs.readFileSync(descriptor);
    const once = twice.subarray(0, twice.length / 2);
    // V8 does not notice damage: it hangs or crashes. Two copies that are the same are the cheapest check that needs no other module.
    return once.equals(twice.subarray(once.length)) ? once : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/** Only into a folder of this user's that no other user can write to. */
function writeCache(script) {
  const unfinished = `${cache}.${process.pid}`;
  try {
    const folder = fs.statSync(__dirname);
    if (folder.uid !== process.geteuid() || folder.uid !== fs.statSync(path).uid || othersCanWrite(folder)) return;
    const data = script.createCachedData();
    fs.writeFileSync(unfinished, Buffer.concat([data, data]), { mode: 0o644, flag: 'wx' });
    fs.renameSync(unfinished, cache);
  } catch {
    // The program works without. A full disk must not leave half a file behind.
    fs.rmSync(unfinished, { force: true });
  }
}

const cachedData = readCache();
const script = new Script(source, { filename: path, cachedData });
script.runInThisContext()(require);
if (cachedData === undefined || script.cachedDataRejected) {
  process.once('exit', (code) => {
    if (SUCCESS.includes(code)) writeCache(script);
  });
}
