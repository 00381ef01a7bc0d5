import { useRef } from 'react';
import type { StepSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { text } from '../strings';
import { StepRow } from './stepRow';
import { useReorder } from './useReorder';

export function StepList({ steps }: { readonly steps: readonly StepSummary[] }) {
  const app = useApp();
  const moved = useView((state) => state.moved);
  const list = useRef<HTMLOListElement>(null);
  const reorder = useReorder(list, (from, to) => app.recipe.move(from, to));
  const order = withMove(
    steps.map((_, index) => index),
    moved,
  );
  const keys = keysOf(order.map((index) => steps[index]!.pass));
  return (
    <ol className="steps" ref={list} aria-label={text('recipe.steps')}>
      {order.map((index, place) => (
        <StepRow
          key={keys[place]}
          step={steps[index]!}
          index={place}
          count={steps.length}
          offset={reorder.offsetOf(place)}
          lifted={reorder.lifted === place}
          handlers={reorder.handlersOf(place)}
        />
      ))}
    </ol>
  );
}

function withMove(
  order: readonly number[],
  moved: { readonly from: number; readonly to: number } | null,
): readonly number[] {
  if (!moved) return order;
  const rest = order.filter((index) => index !== moved.from);
  return [...rest.slice(0, moved.to), moved.from, ...rest.slice(moved.to)];
}

/** A key for each step that lasts when steps change places: its pass, and how often that came before. */
function keysOf(passes: readonly string[]): readonly string[] {
  const seen = new Map<string, number>();
  return passes.map((pass) => {
    const count = seen.get(pass) ?? 0;
    seen.set(pass, count + 1);
    return `${pass}#${count}`;
  });
}
