import { patchedBy } from '../patch/crowd.js';

patchedBy(64);
