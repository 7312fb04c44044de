import { modelSequences } from './model-sequences.js';

modelSequences('linux');
