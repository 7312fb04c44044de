#!/usr/bin/env node
'use strict';
// Runs program.cjs, which lies beside this file. Its compiled form comes from V8's code cache, in the user's cache folder, if there is one for
// this very V8. Whoever can write the cache can run code as its reader, so it counts only where nobody but its reader can have written it.
const fs = require('node:fs');
const { Script } = require('node:vm');

const ID_LENGTH = 32;
/** Done, and the two answers of check and diff. A run that failed did not use what the next one needs. */
const SUCCESS = [0, 1];
/** Caches of other versions of the program or of Node are removed when they are as old as this. */
const STALE_MS = 30 * 24 * 3600_000;

const path = `${__dirname}/program.cjs`;
const source = fs.readFileSync(path, 'latin1');
// A cache for each command holds the functions that it uses: those that it lacks are compiled when they are called, those of other commands would
// have to be read. A word that is no command ends with an exit code that writes no cache.
const [command] = /^[a-z]{1,16}$/.exec(process.argv[2]) ?? ['program'];
// V8 itself compares no more than the length of the source: the name binds a cache to the program, by the hash at its end.
const name = `${source.slice(-ID_LENGTH)}-${process.versions.v8}-${process.arch}-${command}.cache`;

const { HOME, XDG_CACHE_HOME } = process.env;
/** XDG Base Directory Specification 0.8: a relative path does not count. undefined where there is no such folder. */
const base = XDG_CACHE_HOME?.startsWith('/') ? XDG_CACHE_HOME : HOME?.startsWith('/') ? `${HOME}/.cache` : undefined;
const folder = `${base}/kdump-hotplug`;

const isOwn = ({ uid, mode }) => uid === process.geteuid() && (mode & 0o022) === 0;

function readCache() {
  if (base === undefined) return undefined;
  let descriptor;
  try {
    descriptor = fs.openSync(`${folder}/${name}`, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    const status = fs.fstatSync(descriptor);
    if (!status.isFile() || !isOwn(status)) return undefined;
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

/** Only below a home of this very user: with sudo, HOME may be somebody else's. */
function writeCache(script) {
  if (base === undefined) return;
  const unfinished = `${folder}/${name}.${process.pid}`;
  try {
    if (!isOwn(fs.statSync(fs.existsSync(base) ? base : (HOME ?? base)))) return;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isOwn(fs.statSync(folder))) return;
    const data = script.createCachedData();
    fs.writeFileSync(unfinished, Buffer.concat([data, data]), { mode: 0o600, flag: 'wx' });
    fs.renameSync(unfinished, `${folder}/${name}`);
    removeStale();
  } catch {
    // The program works without. A full disk must not leave half a file behind.
    fs.rmSync(unfinished, { force: true });
  }
}

/** One that is still used is made anew by the run that misses it. */
function removeStale() {
  for (const other of fs.readdirSync(folder)) {
    const file = `${folder}/${other}`;
    if (other.includes('.cache') && Date.now() - fs.statSync(file).mtimeMs > STALE_MS) fs.rmSync(file);
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
