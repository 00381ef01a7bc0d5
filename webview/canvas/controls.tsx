import { useReactFlow } from '@xyflow/react';
import { useApp } from '../app/context';
import { IconButton } from '../common/iconButton';
import { reducedMotion } from '../common/motion';
import { text } from '../strings';

export function Controls() {
  const app = useApp();
  const flow = useReactFlow();
  const glide = () => ({ duration: reducedMotion() ? 0 : 150 });
  return (
    <div className="controls" role="toolbar" aria-label={text('controls.label')}>
      <IconButton
        icon="zoom-in"
        label={text('controls.zoomIn')}
        testId="zoom-in"
        onClick={() => void flow.zoomIn(glide())}
      />
      <IconButton
        icon="zoom-out"
        label={text('controls.zoomOut')}
        testId="zoom-out"
        onClick={() => void flow.zoomOut(glide())}
      />
      <IconButton
        icon="screen-full"
        label={text('header.fit')}
        keys="f"
        testId="zoom-fit"
        onClick={app.actions.fit}
      />
    </div>
  );
}
