import { fuzzEach } from './fuzz-million.js';

fuzzEach(20260201, { FDT: 1_000_000 });
