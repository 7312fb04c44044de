import { fuzzEach } from './fuzz-million.js';

// A million damaged images together with fuzz-packed-more and fuzz-dumps.
fuzzEach(20260204, { 'packed image': 350_000 });
