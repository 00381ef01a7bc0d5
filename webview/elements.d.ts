import type { DetailedHTMLProps, HTMLAttributes } from 'react';

type Custom<Extra> = DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & Extra;

declare module 'react' {
  // React finds the attributes of custom elements in this namespace.
  namespace JSX {
    interface IntrinsicElements {
      'vscode-button': Custom<{ secondary?: boolean; disabled?: boolean }>;
      'vscode-progress-bar': Custom<{ value?: number; max?: number; indeterminate?: boolean }>;
    }
  }
}
