import { fuzzEach } from './fuzz-million.js';

fuzzEach(20260202, { elfcorehdr: 1_000_000, journal: 1_000_000 });
