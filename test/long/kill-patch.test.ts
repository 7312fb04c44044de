import { SCENARIOS } from '../patch/kill-scenarios.js';
import { killEverywhere } from './kills.js';

killEverywhere(SCENARIOS.slice(0, 10));
