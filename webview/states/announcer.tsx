import { useView } from '../app/context';

/** Says to screen readers what others see. Two places in turn, so that a repeated sentence is heard again. */
export function Announcer() {
  const { text, count } = useView((state) => state.announcement);
  return (
    <>
      {[0, 1].map((place) => (
        <div
          key={place}
          className="hidden"
          role="status"
          aria-live="polite"
          data-testid={`say-${place}`}
        >
          {count % 2 === place ? text : ''}
        </div>
      ))}
    </>
  );
}
