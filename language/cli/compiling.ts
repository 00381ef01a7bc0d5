/** How eagerly V8 compiles a command that ends within a second or so. */
import { setFlagsFromString } from 'node:v8';

/** Of a function's running, in bytes of its code, before it is compiled for speed; nine times V8's default. */
const COMPILE_LATE = '--interrupt-budget=600000';

/**
 * For commands that visit every node a few times only: on 10 000 of them, compiling as early as usual takes more
 * processor time than all the rest. What runs much longer is still compiled.
 */
export const compileLate = (): void => setFlagsFromString(COMPILE_LATE);
