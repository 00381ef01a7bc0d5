import { useApp, useView } from '../app/context';
import { copyText } from '../common/copyText';
import { Button } from '../common/elements';
import { Icon } from '../common/icon';
import { text } from '../strings';

/** What is wrong, and what can be done. */
export function CannotOpen({ message }: { readonly message: string }) {
  const app = useApp();
  const title = useView((state) => state.session?.title ?? '');
  const isReport = useView((state) => state.session?.view === 'report');
  return (
    <main className="cannot-open" role="alert" data-testid="cannot-open">
      <Icon name="error" />
      <h1>{text('cannotOpen.title', { name: title })}</h1>
      <p className="cannot-open-message">{message}</p>
      <div className="buttons">
        {!isReport && (
          <>
            <Button
              testId="open-text"
              icon="file-code"
              onClick={() => void app.host.request('open', { what: 'onnxText' })}
            >
              {text('cannotOpen.text')}
            </Button>
            <Button secondary testId="try-again" icon="debug-restart" onClick={app.reload}>
              {text('cannotOpen.again')}
            </Button>
          </>
        )}
        <Button
          secondary
          testId="copy-details"
          icon="copy"
          onClick={() => copyText(`${title}\n${message}`)}
        >
          {text('cannotOpen.copy')}
        </Button>
      </div>
    </main>
  );
}
