import { useState } from 'react';
import type { ModelSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Button } from '../common/elements';
import { keepTyping } from '../common/textField';
import { text } from '../strings';
import { Banner } from './banners';

/** Sizes that the model leaves open: costs are unknown until they are bound. */
export function FreeDimensions() {
  const free = useView((state) => state.design?.model.free) ?? [];
  return free.map((dimension) => <FreeDimension key={dimension.symbol} dimension={dimension} />);
}

function FreeDimension({ dimension }: { readonly dimension: ModelSummary['free'][number] }) {
  const app = useApp();
  const [typed, setTyped] = useState('');
  const { symbol, inputs } = dimension;
  const size = /^\d+$/.test(typed.trim()) ? Number(typed) : null;
  const valid = size !== null && size > 0 && Number.isSafeInteger(size);

  return (
    <Banner look="warning" icon="question" testId={`free-${symbol}`}>
      <form
        className="free"
        onSubmit={(event) => {
          event.preventDefault();
          if (valid) app.recipe.bind(symbol, size);
        }}
      >
        <label htmlFor={`bind-${symbol}`}>
          {text('free', { symbol, inputs: inputs.join(', ') })}
        </label>
        <input
          type="text"
          className="text-field"
          id={`bind-${symbol}`}
          data-testid={`bind-${symbol}`}
          inputMode="numeric"
          size={6}
          placeholder={text('free.size')}
          aria-invalid={typed !== '' && !valid}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => keepTyping(event, typed !== '')}
        />
        <Button
          secondary
          disabled={!valid}
          testId={`bind-${symbol}-set`}
          onClick={() => valid && app.recipe.bind(symbol, size)}
        >
          {text('free.bind')}
        </Button>
      </form>
    </Banner>
  );
}
