import { fuzzEach } from './fuzz-million.js';

fuzzEach(20260205, { 'packed image': 350_000 });
