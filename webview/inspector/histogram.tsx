const HEIGHT = 48;

interface HistogramProps {
  readonly counts: readonly number[];
  readonly label: string;
  /** Heights by the logarithm: a few elements far out are seen beside millions. */
  readonly logarithmic?: boolean;
}

/** Bars beside each other; what they say is in the label. */
export function Histogram({ counts, label, logarithmic = false }: HistogramProps) {
  const scale = logarithmic ? Math.log1p : (count: number) => count;
  const most = Math.max(1, ...counts);
  return (
    <svg
      className="histogram"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${counts.length} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      {counts.map((count, bin) => {
        const height = count === 0 ? 0 : Math.max(1, (scale(count) / scale(most)) * HEIGHT);
        return <rect key={bin} x={bin + 0.06} y={HEIGHT - height} width={0.88} height={height} />;
      })}
    </svg>
  );
}
