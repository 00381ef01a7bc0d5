import { useRef, useState, type PointerEvent, type RefObject } from 'react';

const THRESHOLD_PX = 4;

interface Lift {
  readonly from: number;
  readonly to: number;
  /** How far the row was carried. */
  readonly dy: number;
  /** Height of a row with its gap. */
  readonly pitch: number;
}

export interface RowHandlers {
  readonly onPointerDown: (event: PointerEvent) => void;
  readonly onPointerMove: (event: PointerEvent) => void;
  readonly onPointerUp: (event: PointerEvent) => void;
  readonly onPointerCancel: (event: PointerEvent) => void;
}

export interface Reorder {
  readonly lifted: number | null;
  readonly offsetOf: (row: number) => number;
  readonly handlersOf: (row: number) => RowHandlers;
}

/** Carries a row of a list up and down by pointer; the others make room. */
export function useReorder(
  list: RefObject<HTMLElement | null>,
  drop: (from: number, to: number) => void,
): Reorder {
  const start = useRef<{ row: number; y: number; tops: readonly Box[] } | null>(null);
  const [lift, setLift] = useState<Lift | null>(null);

  function carry(event: PointerEvent) {
    const from = start.current;
    if (!from) return;
    const dy = event.clientY - from.y;
    if (!lift) {
      if (Math.abs(dy) < THRESHOLD_PX) return;
      event.currentTarget.setPointerCapture(event.pointerId);
    }
    const own = from.tops[from.row]!;
    const next = from.tops[from.row + 1] ?? from.tops[from.row - 1];
    const gap = next ? Math.abs(next.top - own.top) - Math.min(next.height, own.height) : 0;
    setLift({
      from: from.row,
      to: placeOf(from.tops, from.row, own.top + own.height / 2 + dy),
      dy,
      pitch: own.height + Math.max(0, Math.min(gap, 12)),
    });
  }

  function end(dropped: boolean) {
    if (lift && dropped && lift.to !== lift.from) drop(lift.from, lift.to);
    start.current = null;
    setLift(null);
  }

  return {
    lifted: lift?.from ?? null,
    offsetOf(row) {
      if (!lift) return 0;
      if (row === lift.from) return lift.dy;
      if (row > lift.from && row <= lift.to) return -lift.pitch;
      return row < lift.from && row >= lift.to ? lift.pitch : 0;
    },
    handlersOf: (row) => ({
      onPointerDown(event) {
        const onControl = (event.target as Element).closest('input, .icon-button');
        if (event.button !== 0 || onControl) return;
        start.current = { row, y: event.clientY, tops: boxes(list.current) };
      },
      onPointerMove: carry,
      onPointerUp: () => end(true),
      onPointerCancel: () => end(false),
    }),
  };
}

interface Box {
  readonly top: number;
  readonly height: number;
}

function boxes(list: HTMLElement | null): Box[] {
  return [...(list?.children ?? [])].map((row) => row.getBoundingClientRect());
}

/** Where a row lands whose middle is at `y`: after all others whose middle is above. */
function placeOf(rows: readonly Box[], own: number, y: number): number {
  return rows.filter((row, index) => index !== own && row.top + row.height / 2 < y).length;
}
