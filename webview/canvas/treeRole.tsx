import { useStoreApi } from '@xyflow/react';
import { useEffect } from 'react';
import { useView } from '../app/context';
import { text } from '../strings';

/** React Flow has no property for the role of its node layer: the nodes are one tree, blocks holding layers. */
export function TreeRole() {
  const flowStore = useStoreApi();
  const name = useView((state) => state.design?.model.name);
  useEffect(() => {
    const layer = flowStore.getState().domNode?.querySelector('.react-flow__nodes');
    layer?.setAttribute('role', 'tree');
    layer?.setAttribute('aria-multiselectable', 'true');
    layer?.setAttribute('aria-label', text('canvas.label', { name: name ?? '' }));
  }, [flowStore, name]);
  return null;
}
