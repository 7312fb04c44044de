import { cutEverywhere } from './power-cuts.js';

cutEverywhere(100);
