import {
  DATA_USES,
  type DataSummary,
  type DataUse,
  type RecipeSummary,
} from '../../language/protocol';
import { useApp } from '../app/context';
import { IconButton } from '../common/iconButton';
import { counted, text } from '../strings';

/** Which samples the recipe finds its ranges on and judges the result by. */
export function DataRows({ data }: { readonly data: RecipeSummary['data'] }) {
  return (
    <dl className="data-rows">
      {DATA_USES.map((use) => (
        <DataRow key={use} use={use} data={data[use]} />
      ))}
    </dl>
  );
}

function DataRow({ use, data }: { readonly use: DataUse; readonly data: DataSummary | null }) {
  const app = useApp();
  return (
    <div className="data-row">
      <dt>{text(`data.${use}`)}</dt>
      <dd className={data && !data.generated ? '' : 'quiet'} title={data?.file ?? undefined}>
        {dataWords(data)}
      </dd>
      <IconButton
        icon="database"
        label={text(`data.${use}.choose`)}
        testId={`choose-${use}`}
        onClick={() => void app.host.request('chooseData', { use })}
      />
    </div>
  );
}

function dataWords(data: DataSummary | null): string {
  if (!data) return text('data.none');
  if (data.generated) return text('data.generated');
  const name =
    data.file
      ?.split('/')
      .at(-1)
      ?.replace(/\.dataset\.ya?ml$/, '') ?? text('data.inline');
  return data.samples === null ? name : `${name} · ${counted('samples', data.samples)}`;
}
