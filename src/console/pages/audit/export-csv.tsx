import { withQuery } from '../../api.ts'

const mostRows = 1000

/** The server answers a page at a time: narrow the time for more. */
export function ExportCsv({ pathOf }: { readonly pathOf: () => string }) {
  return (
    <a
      class="button plain"
      href={`/api/console${withQuery(pathOf(), { format: 'csv', limit: mostRows })}`}
      title={`The newest ${mostRows.toLocaleString('en')} that match; narrow the time range for others`}
      download
    >
      Export CSV
    </a>
  )
}
