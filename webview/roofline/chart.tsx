import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { extent, logAxis, slopeNames, spread, type Axis } from '../../language/drawing/scale';
import type { Roofline, RooflineLayer, RooflinePlace } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { text } from '../strings';
import { isChosen } from './layerTable';
import { Mark } from './mark';
import { bandwidth, layerWords, placeWords, rate, timeWords } from './words';

const LEFT = 56;
const TOP = 12;
const LEAST_WIDTH = 260;
const BOTTOM = 38;
const LABEL_GAP = 15;
/** Of small text, on average. */
const LETTER = 5.6;
/** What moved less than this has not moved for the eye. */
const LEAST_WAY = 5;
const LEAST_RADIUS = 3;
const MOST_RADIUS = 11;
const WAS_RADIUS = 3.5;

interface ChartProps {
  readonly roofline: Roofline;
  /** The dearest first. */
  readonly layers: readonly RooflineLayer[];
}

/** Layers with products by how much they compute per byte and how fast, under what the target does at best. */
export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() =>
      setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <div className="roofline-chart" ref={box}>
      {size.width > LEAST_WIDTH && <Drawing {...props} {...size} />}
    </div>
  );
}

interface Frame {
  readonly x: Axis;
  readonly y: Axis;
  /** Where the plot ends and the names of the flat roofs begin. */
  readonly right: number;
  readonly width: number;
  readonly height: number;
}

function Drawing({
  roofline,
  layers,
  width,
  height,
}: ChartProps & Pick<Frame, 'width' | 'height'>) {
  const plot = useId();
  const [told, setTold] = useState<string | null>(null);
  const frame = useMemo((): Frame => {
    const { intensities, rates } = extent(roofline, layers);
    const right = width - Math.max(178, Math.min(300, width * 0.34));
    return {
      x: logAxis(intensities, LEFT, right),
      right,
      y: logAxis(rates, height - BOTTOM, TOP),
      width,
      height,
    };
  }, [roofline, layers, width, height]);
  const layer = layers.find(({ node }) => node === told);
  return (
    <>
      <svg width={width} height={height} data-testid="roofline-chart">
        <clipPath id={plot}>
          <rect x={LEFT} y={0} width={frame.right - LEFT} height={height - BOTTOM} />
        </clipPath>
        <Axes {...frame} />
        <g clipPath={`url(#${plot})`} aria-hidden="true">
          <Roofs roofline={roofline} {...frame} />
        </g>
        <Layers layers={layers} frame={frame} onTold={setTold} />
      </svg>
      <RoofNames roofline={roofline} {...frame} />
      {layer && <Tooltip layer={layer} {...frame} />}
    </>
  );
}

/** A power of ten, or twice or five times one, without the noise of binary fractions. */
const tickText = (tick: number): string =>
  tick < 1 ? String(Number(tick.toPrecision(3))) : tick.toLocaleString('en');

function Axes({ x, y, right, height }: Frame) {
  const bottom = height - BOTTOM;
  return (
    <g className="roofline-axes" aria-hidden="true">
      {x.ticks.map((tick) => (
        <g key={tick}>
          <line x1={x.at(tick)} x2={x.at(tick)} y1={TOP} y2={bottom} />
          <text x={x.at(tick)} y={bottom + 14} textAnchor="middle">
            {tickText(tick)}
          </text>
        </g>
      ))}
      {y.ticks.map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={right} y1={y.at(tick)} y2={y.at(tick)} />
          <text x={LEFT - 6} y={y.at(tick) + 4} textAnchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
      <path d={`M${LEFT} ${TOP}V${bottom}H${right}`} />
      <text className="roofline-title" x={(LEFT + right) / 2} y={height - 6} textAnchor="middle">
        {text('roofline.x')}
      </text>
      <text
        className="roofline-title"
        transform={`translate(12 ${(TOP + bottom) / 2}) rotate(-90)`}
        textAnchor="middle"
      >
        {text('roofline.y')}
      </text>
    </g>
  );
}

/** Slopes end at the highest roof, flat roofs begin at the steepest slope. */
function Roofs({ roofline: { compute, memory }, x, y }: Frame & { readonly roofline: Roofline }) {
  const top = compute[0]?.gmacPerS ?? y.max;
  const steepest = memory[0]?.gbPerS;
  const slopes = memory.map(({ name, gbPerS }) => {
    const foot = Math.max(x.min, y.min / gbPerS);
    const head = Math.min(x.max, top / gbPerS);
    const [x1, y1] = [x.at(foot), y.at(foot * gbPerS)];
    const [x2, y2] = [x.at(head), y.at(head * gbPerS)];
    return { words: `${name} ${bandwidth(gbPerS)}`, x1, y1, x2, y2 };
  });
  const [first] = slopes;
  const angle = first ? Math.atan2(first.y2 - first.y1, first.x2 - first.x1) : 0;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const names = slopeNames(
    slopes.map(({ words, x1, y1, x2, y2 }) => ({
      across: y1 * cos - x1 * sin,
      foot: x1 * cos + y1 * sin,
      head: x2 * cos + y2 * sin,
      width: words.length * LETTER,
    })),
  );
  return (
    <>
      {compute.map(({ name, gmacPerS }) => (
        <line
          key={name}
          className="roof"
          x1={x.at(steepest === undefined ? x.min : Math.max(x.min, gmacPerS / steepest))}
          x2={x.at(x.max)}
          y1={y.at(gmacPerS)}
          y2={y.at(gmacPerS)}
        />
      ))}
      {slopes.map(({ words, ...line }) => (
        <line key={words} className="roof roof-memory" {...line} />
      ))}
      {slopes.map(({ words, x1, y1 }, i) => {
        const { along, side } = names[i]!;
        const degrees = (angle * 180) / Math.PI;
        return (
          <text
            key={words}
            className="roof-name"
            textAnchor="middle"
            transform={`translate(${x1} ${y1}) rotate(${degrees}) translate(${along} ${side < 0 ? -5 : 13})`}
          >
            {words}
          </text>
        );
      })}
    </>
  );
}

function RoofNames({
  roofline: { compute },
  y,
  right,
  width,
  height,
}: Frame & { readonly roofline: Roofline }) {
  const wanted = compute.map(({ gmacPerS }) => y.at(gmacPerS));
  const tops = spread(wanted, LABEL_GAP, height - BOTTOM - LABEL_GAP / 2);
  return (
    <>
      <svg className="roof-leaders" width={width} height={height} aria-hidden="true">
        {tops.map((top, i) => (
          <path key={i} d={`M${right} ${wanted[i]}l8 ${top - wanted[i]!}h4`} />
        ))}
      </svg>
      <ul aria-label={text('roofline.roofs')}>
        {compute.map(({ name, gmacPerS }, i) => (
          <li
            key={name}
            className="roof-label"
            style={{ top: tops[i]! - LABEL_GAP / 2, left: right + 16 }}
            title={`${name}: ${rate(gmacPerS)}`}
          >
            <span>{name}</span> <b>{rate(gmacPerS)}</b>
          </li>
        ))}
      </ul>
    </>
  );
}

// ---- layers

interface LayersProps {
  readonly layers: readonly RooflineLayer[];
  readonly frame: Frame;
  /** The layer under the pointer or the keyboard, to be told in words. */
  readonly onTold: (node: string | null) => void;
}

function Layers({ layers, frame: { x, y }, onTold }: LayersProps) {
  const app = useApp();
  const at = useView((state) => state.rooflineAt);
  const selected = useView((state) => state.selected);
  const group = useRef<SVGGElement>(null);
  const current = layers.some(({ node }) => node === at) ? at : (layers[0]?.node ?? null);
  useWantedFocus('roofline', () => dotOf(group.current!, current)?.focus());
  const largest = layers[0]?.share ?? 1;
  const radius = (share: number) =>
    Math.max(LEAST_RADIUS, MOST_RADIUS * Math.sqrt(share / largest));

  const pixels = ({ macsPerByte, gmacPerS }: RooflinePlace) => ({
    x: x.at(macsPerByte),
    y: y.at(gmacPerS),
  });
  const moved = layers
    .flatMap((layer) =>
      layer.before ? [{ layer, from: pixels(layer.before), to: pixels(layer.at) }] : [],
    )
    .filter(({ from, to }) => Math.hypot(to.x - from.x, to.y - from.y) > LEAST_WAY);

  function onKeyDown(event: KeyboardEvent<SVGGElement>) {
    if (event.ctrlKey || event.metaKey || event.altKey || current === null) return;
    const next = neighbour(layers, current, event.key);
    if (next !== null) dotOf(event.currentTarget, next)?.focus();
    else if (event.key === 'Enter' || event.key === ' ') app.roofline.choose(current);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <g
      ref={group}
      role="listbox"
      aria-label={`${text('roofline.label')}. ${text('roofline.keys')}`}
      onKeyDown={onKeyDown}
    >
      {moved.map(({ layer, from, to }) => (
        <line
          key={layer.node}
          className={`roofline-way${layer.node === current ? ' is-told' : ''}`}
          x1={from.x}
          y1={from.y}
          x2={to.x}
          y2={to.y}
        />
      ))}
      {moved.map(({ layer: { node, bound }, from }) => (
        <g key={node} className="roofline-was" transform={`translate(${from.x} ${from.y})`}>
          <Mark bound={bound} radius={WAS_RADIUS} />
        </g>
      ))}
      {layers.map((layer) => {
        const { node, at: place, bound, share } = layer;
        const chosen = isChosen(layer, selected);
        return (
          <g
            key={node}
            role="option"
            aria-label={layerWords(layer)}
            aria-selected={chosen}
            tabIndex={node === current ? 0 : -1}
            className={`roofline-dot${chosen ? ' is-selected' : ''}`}
            transform={`translate(${x.at(place.macsPerByte)} ${y.at(place.gmacPerS)})`}
            data-dot={node}
            data-testid={`roofline-dot-${node}`}
            onFocus={() => {
              app.roofline.point(node);
              onTold(node);
            }}
            onBlur={() => onTold(null)}
            onPointerEnter={() => onTold(node)}
            onPointerLeave={() => onTold(null)}
            onClick={() => app.roofline.choose(node)}
          >
            <circle className="dot-ring" r={radius(share) + 4} />
            <Mark bound={bound} radius={radius(share)} />
          </g>
        );
      })}
    </g>
  );
}

const dotOf = (group: Element, node: string | null): SVGGElement | undefined =>
  [...group.querySelectorAll<SVGGElement>('[data-dot]')].find(
    ({ dataset }) => dataset.dot === node,
  );

/** Left and right along the intensity, up to the dearer and down to the cheaper layer. */
function neighbour(layers: readonly RooflineLayer[], node: string, key: string): string | null {
  const byIntensity = [...layers].sort((a, b) => a.at.macsPerByte - b.at.macsPerByte);
  const step = (among: readonly RooflineLayer[], by: number) => {
    const to = among.findIndex((layer) => layer.node === node) + by;
    return among[Math.max(0, Math.min(among.length - 1, to))]!.node;
  };
  switch (key) {
    case 'ArrowLeft':
      return step(byIntensity, -1);
    case 'ArrowRight':
      return step(byIntensity, 1);
    case 'ArrowUp':
      return step(layers, -1);
    case 'ArrowDown':
      return step(layers, 1);
    case 'Home':
      return layers[0]!.node;
    case 'End':
      return layers.at(-1)!.node;
    default:
      return null;
  }
}

/** Beside the layer, on the side where there is room. */
function Tooltip({ layer, x, y, width, height }: Frame & { readonly layer: RooflineLayer }) {
  const { node, op, at, before } = layer;
  const [left, top] = [x.at(at.macsPerByte), y.at(at.gmacPerS)];
  const side = left < width / 2 ? { left: left + 18 } : { right: width - left + 18 };
  const edge = top < height / 2 ? { top: top - 8 } : { bottom: height - top - 8 };
  return (
    <div className="roofline-tooltip" style={{ ...side, ...edge }} aria-hidden="true">
      <strong>{node}</strong> <small>{op}</small>
      <br />
      {placeWords(at)}
      <br />
      {timeWords(layer)}
      {before && (
        <>
          <br />
          <span className="quiet">{text('roofline.before', { place: placeWords(before) })}</span>
        </>
      )}
    </div>
  );
}
