/** Whether this server and its zones are well, as `caracal status` would ask. */
import { api } from '../api.ts'
import { useData } from '../state/use-data.ts'
import { Async, Badge, Notice, Page, Section } from '../ui/basics.tsx'
import { moment } from '../ui/format.ts'
import { CheckTable } from './diagnostics/check-table.tsx'
import { bySection, type Report, sectionTitles } from './diagnostics/report.ts'

export function Diagnostics() {
  const report = useData('diagnostics', (signal) => api.get<Report>('/diagnostics', signal), {
    refreshMs: 20_000,
  })
  return (
    <Page title="Diagnostics" lead="Health of the server’s parts and of the zones that you may see.">
      <Async of={report}>
        {(found) => (
          <>
            <Standing report={found} />
            {bySection(found.checks).map(([section, checks]) => (
              <Section key={section} title={sectionTitles[section] ?? section}>
                <CheckTable checks={checks} />
              </Section>
            ))}
            <p class="hint">Checked {moment(found.generatedAt)}. Checked again every 20 seconds.</p>
          </>
        )}
      </Async>
    </Page>
  )
}

function Standing({ report: { ready, summary } }: { readonly report: Report }) {
  const { ok, warn, fail, total } = summary
  return (
    <>
      {!ready && (
        <Notice tone="bad">The server is not ready. What fails below says why, and what to do.</Notice>
      )}
      {ready && warn + fail === 0 && <Notice tone="ok">All {total} checks are well.</Notice>}
      <p>
        <Badge tone="ok">{ok} well</Badge> <Badge tone={warn > 0 ? 'warn' : 'idle'}>{warn} to look at</Badge>{' '}
        <Badge tone={fail > 0 ? 'bad' : 'idle'}>{fail} failing</Badge>
      </p>
    </>
  )
}
