import { modelSequences } from './model-sequences.js';

modelSequences('default');
