import { useView } from './app/context';
import { Designer } from './designer/designer';
import { ReportView } from './report/reportView';
import { Announcer } from './states/announcer';
import { CannotOpen } from './states/cannotOpen';
import { Skeleton } from './states/skeleton';

/** The view that the session asks for. */
export function Root() {
  const view = useView((state) => state.session?.view ?? null);
  const failure = useView((state) => state.failure);
  return (
    <>
      {failure !== null ? (
        <CannotOpen message={failure} />
      ) : view === null ? (
        <Skeleton />
      ) : view === 'report' ? (
        <ReportView />
      ) : (
        <Designer />
      )}
      <Announcer />
    </>
  );
}
