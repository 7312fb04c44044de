import { fuzzEach } from './fuzz-million.js';

fuzzEach(20260203, { 'change file': 1_000_000, 'kexec log': 1_000_000, iomem: 1_000_000, manifest: 1_000_000 });
