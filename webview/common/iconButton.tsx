import { Icon, type IconName } from './icon';

interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  /** Shown after the label in the tooltip. */
  readonly keys?: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly testId?: string;
  /** Out of the tab order where a key on the row does the same. */
  readonly skipTab?: boolean;
  readonly onClick: () => void;
}

export function IconButton(props: IconButtonProps) {
  const { icon, label, keys, pressed, disabled, testId, skipTab, onClick } = props;
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      aria-pressed={pressed}
      title={keys ? `${label} (${keys})` : label}
      disabled={disabled}
      data-testid={testId}
      tabIndex={skipTab ? -1 : undefined}
      onClick={(event) => {
        event.stopPropagation();
        onClick();
      }}
    >
      <Icon name={icon} />
    </button>
  );
}
