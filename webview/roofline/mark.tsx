/** What bounds a layer, as a shape and a colour. */
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

interface MarkProps {
  readonly bound: string;
  readonly radius: number;
  readonly className?: string;
}

export function Mark({ bound, radius, className = '' }: MarkProps) {
  const index = BOUNDS.findIndex((known) => known === bound);
  const known = BOUNDS[index];
  return (
    <path
      className={`mark-shape mark-${index < 0 ? 'other' : index} ${className}`}
      d={known ? SHAPES[known] : OTHER}
      transform={`scale(${radius})`}
      vectorEffect="non-scaling-stroke"
    />
  );
}
