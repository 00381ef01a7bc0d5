import { useState, type ReactNode } from 'react';
import type { Problem } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Icon, type IconName } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { counted, text } from '../strings';
import { NodeLink } from '../inspector/values';
import { DataNeed } from './dataNeed';
import { FreeDimensions } from './freeDimensions';

/** Lines above the graph: what is missing, what went wrong. */
export function Banners() {
  const app = useApp();
  const backend = useView((state) => state.backend);
  const error = useView((state) => state.designError);
  const notice = useView((state) => state.notice);
  const problems = useView((state) => state.design?.problems) ?? [];
  const assumed = useView((state) => state.design?.model.assumed) ?? {};
  const folded = useView((state) => state.folded.includes('assumed'));
  const names = Object.entries(assumed).map(([symbol, size]) => `${symbol} = ${size}`);
  return (
    <div className="banners">
      {backend === 'restarting' && (
        <Banner look="info" icon="sync" spin testId="restarting">
          {text('backend.restarting')}
        </Banner>
      )}
      {error !== null && (
        <Banner look="error" icon="error" testId="design-error">
          {text('design.failed', { reason: error })}
        </Banner>
      )}
      {notice !== null && (
        <Banner
          look="error"
          icon="error"
          testId="notice"
          onClose={() => app.store.set({ notice: null })}
        >
          {notice}
        </Banner>
      )}
      <FreeDimensions />
      <DataNeed />
      {names.length > 0 && !folded && (
        <Banner look="quiet" icon="info" testId="assumed" onClose={() => app.fold('assumed')}>
          {text('assumed', { names: names.join(', ') })}
        </Banner>
      )}
      {problems.length > 0 && <Problems problems={problems} />}
    </div>
  );
}

interface BannerProps {
  readonly look: 'info' | 'warning' | 'error' | 'quiet';
  readonly icon: IconName;
  readonly spin?: boolean;
  readonly testId: string;
  readonly children: ReactNode;
  readonly onClose?: () => void;
}

export function Banner({ look, icon, spin = false, testId, children, onClose }: BannerProps) {
  return (
    <div
      className={`banner banner-${look}`}
      role={look === 'error' ? 'alert' : 'status'}
      data-testid={testId}
    >
      <Icon name={icon} spin={spin} />
      <div className="banner-text">{children}</div>
      {onClose && <IconButton icon="close" label={text('dismiss')} onClick={onClose} />}
    </div>
  );
}

const LOOKS: Readonly<Record<Problem['severity'], { look: BannerProps['look']; icon: IconName }>> =
  {
    error: { look: 'error', icon: 'error' },
    warning: { look: 'warning', icon: 'warning' },
    info: { look: 'quiet', icon: 'info' },
  };

/** One line that opens into all of them. */
function Problems({ problems }: { readonly problems: readonly Problem[] }) {
  const [open, setOpen] = useState(false);
  const worst = ['error', 'warning', 'info'].find((severity) =>
    problems.some((problem) => problem.severity === severity),
  ) as Problem['severity'];
  const { look, icon } = LOOKS[worst];
  const [first] = problems;
  return (
    <Banner look={look} icon={icon} testId="problems">
      {problems.length === 1 ? (
        <ProblemLine problem={first!} />
      ) : (
        <>
          <button
            type="button"
            className="link"
            aria-expanded={open}
            data-testid="problems-toggle"
            onClick={() => setOpen(!open)}
          >
            {counted('problems', problems.length)}
            <Icon name={open ? 'chevron-down' : 'chevron-right'} />
          </button>
          {open && (
            <ul>
              {problems.map((problem, index) => (
                <li key={index}>
                  <ProblemLine problem={problem} />
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </Banner>
  );
}

function ProblemLine({ problem: { message, node, step } }: { readonly problem: Problem }) {
  const app = useApp();
  return (
    <>
      {message}{' '}
      {step !== undefined && (
        <button type="button" className="link" onClick={() => app.selection.step(step)}>
          {text('step.number', { number: step + 1 })}
        </button>
      )}
      {node !== undefined && <NodeLink id={node} />}
    </>
  );
}
