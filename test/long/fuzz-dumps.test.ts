import { fuzzEach } from './fuzz-million.js';

fuzzEach(20260206, { 'raw image': 150_000, 'ELF memory dump': 150_000 });
