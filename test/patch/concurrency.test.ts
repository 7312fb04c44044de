import { patchedBy } from './crowd.js';

// 64 in test/long.
patchedBy(6);
