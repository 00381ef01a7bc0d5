import type { Chip, ViewNode } from '../../language/protocol';
import { useApp } from '../app/context';
import { Icon } from '../common/icon';
import { openBits } from '../designer/bitsMenu';
import { text } from '../strings';

export function Chips({ node }: { readonly node: ViewNode }) {
  const { chips } = node;
  return (
    <div className="chips" title={chips.map((chip) => chip.text).join(', ')}>
      {chips.map((chip) =>
        chip.family === 'quantize' && node.rounding ? (
          <BitsButton key={chip.text} node={node} chip={chip} className="chip" />
        ) : (
          <span
            key={chip.text}
            className={`chip${chip.family ? ` family-${chip.family}` : ''}${chip.warning ? ' chip-warning' : ''}`}
          >
            {chip.warning && <Icon name="warning" />}
            {chip.text}
          </span>
        ),
      )}
    </div>
  );
}

/** The precision that the recipe gives a node, where there is no room for all that it did. */
export function Bits({ node }: { readonly node: ViewNode }) {
  const chip = node.chips.find(({ family }) => family === 'quantize');
  if (!chip) return null;
  if (node.rounding) return <BitsButton node={node} chip={chip} className="card-bits" />;
  return <span className="card-bits family-quantize">{chip.text}</span>;
}

interface BitsButtonProps {
  readonly node: ViewNode;
  readonly chip: Chip;
  readonly className: string;
}

/** Says in how many bits a node is, and lets one choose. */
function BitsButton({ node, chip, className }: BitsButtonProps) {
  const app = useApp();
  return (
    <button
      type="button"
      className={`${className} bits-button family-quantize nopan`}
      tabIndex={-1}
      title={text('bits.choose', { bits: chip.text })}
      aria-haspopup="menu"
      data-testid={`bits-${node.id}`}
      onClick={(event) => {
        event.stopPropagation();
        app.selection.pick(node.id);
        openBits(app, node, event.currentTarget);
      }}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      {chip.text}
    </button>
  );
}
