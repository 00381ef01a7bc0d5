import { markOf } from '../../language/drawing/marks';

interface MarkProps {
  readonly bound: string;
  readonly radius: number;
  readonly className?: string;
}

export function Mark({ bound, radius, className = '' }: MarkProps) {
  const { path, className: colour } = markOf(bound);
  return (
    <path
      className={`mark-shape ${colour} ${className}`}
      d={path}
      transform={`scale(${radius})`}
      vectorEffect="non-scaling-stroke"
    />
  );
}
