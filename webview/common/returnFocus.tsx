import { useEffect, useRef, type RefObject } from 'react';

/** Gives the keyboard back to where it was when something that floats goes away. */
export function useReturnFocus<Box extends HTMLElement>(): RefObject<Box | null> {
  const box = useRef<Box>(null);
  const before = useRef(document.activeElement);
  useEffect(() => {
    const previous = before.current;
    const floating = box.current;
    return () => {
      if (floating?.isConnected) return;
      // A pick may have moved the focus on purpose: then it stays there.
      const lost = document.activeElement === document.body;
      if (lost && previous instanceof HTMLElement) previous.focus({ preventScroll: true });
    };
  }, []);
  return box;
}
