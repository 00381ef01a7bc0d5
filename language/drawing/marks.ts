/** What bounds a layer, as a shape. */
export const BOUNDS = ['compute', 'activation bandwidth', 'weight bandwidth', 'overhead'] as const;
type KnownBound = (typeof BOUNDS)[number];

/** Shapes around the origin whose areas are about that of a circle of radius 1. */
const SHAPES: Readonly<Record<KnownBound, string>> = {
  compute: 'M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0',
  'activation bandwidth': 'M-.89-.89h1.78v1.78h-1.78z',
  'weight bandwidth': 'M0-1.25L1.25 0L0 1.25L-1.25 0z',
  overhead: 'M0-1.3L1.25.85H-1.25z',
};
const OTHER = 'M-.35-1.1h.7v.75h.75v.7h-.75v.75h-.7v-.75h-.75v-.7h.75z';

/** The path of a bound, and a class to colour it by. */
export function markOf(bound: string): { readonly path: string; readonly className: string } {
  const index = BOUNDS.findIndex((known) => known === bound);
  const known = BOUNDS[index];
  return known
    ? { path: SHAPES[known], className: `mark-${index}` }
    : { path: OTHER, className: 'mark-other' };
}
