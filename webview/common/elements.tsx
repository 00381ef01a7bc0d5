/** VS Code's own controls as React components. */
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-progress-bar/index.js';
import type { ReactNode } from 'react';
import { Icon, type IconName } from './icon';

interface ButtonProps {
  readonly children: ReactNode;
  readonly icon?: IconName;
  readonly secondary?: boolean;
  readonly disabled?: boolean;
  readonly testId?: string;
  readonly title?: string;
  readonly onClick: () => void;
}

export function Button({
  children,
  icon,
  secondary,
  disabled,
  testId,
  title,
  onClick,
}: ButtonProps) {
  return (
    <vscode-button
      secondary={secondary ?? false}
      disabled={disabled ?? false}
      data-testid={testId}
      title={title}
      onClick={onClick}
    >
      {icon && (
        <span slot="content-before">
          <Icon name={icon} />
        </span>
      )}
      {children}
    </vscode-button>
  );
}

/** `fraction` is 0 to 1; without it the bar only says that something goes on. */
export function ProgressBar({
  fraction,
  label,
}: {
  readonly fraction: number | null;
  readonly label: string;
}) {
  return (
    <vscode-progress-bar
      aria-label={label}
      max={1}
      value={fraction ?? 0}
      indeterminate={fraction === null}
    />
  );
}
