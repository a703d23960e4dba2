// `npm run bench`: makes what a run needs, then runs. Nothing is imported from node_modules before it is there.
import { prepare } from './harness/prepare.mjs';

prepare();
await import('./run.mjs');
