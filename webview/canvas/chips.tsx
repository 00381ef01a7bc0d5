import type { Chip } from '../../language/protocol';
import { Icon } from '../common/icon';

export function Chips({ chips }: { readonly chips: readonly Chip[] }) {
  return (
    <div className="chips" title={chips.map(({ text }) => text).join(', ')}>
      {chips.map((chip) => (
        <span
          key={chip.text}
          className={`chip${chip.family ? ` family-${chip.family}` : ''}${chip.warning ? ' chip-warning' : ''}`}
        >
          {chip.warning && <Icon name="warning" />}
          {chip.text}
        </span>
      ))}
    </div>
  );
}
