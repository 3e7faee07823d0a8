/** Who changed what in the zone. */
import { useState } from 'preact/hooks'
import { inZone, withQuery } from '../../api.ts'
import { usePlace } from '../../router.tsx'
import { Badge, Facts, Id, Json, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { chosen, Filters } from '../../ui/filters.tsx'
import { Select, TextField } from '../../ui/form.tsx'
import { moment } from '../../ui/format.ts'
import { Table } from '../../ui/table.tsx'
import { type Change, changedIn, isByPerson, nameOf, sentenceOf } from './change.ts'
import { ExportCsv } from './export-csv.tsx'
import { boundsOf, TimeRange } from './time-range.tsx'

const kinds = [
  'applications',
  'workloads',
  'resources',
  'providers',
  'provider-connections',
  'policies',
  'policy-sets',
  'grants',
  'subject-issuers',
  'subjects',
  'approvals',
  'agents',
  'agent-services',
  'delegations',
  'invocations',
  'zones',
]
const byChoices = [
  { value: '', label: 'Administrators' },
  { value: 'all', label: 'Anybody, also agents' },
]
const passedOn = ['entity_type', 'entity_id', 'actor_id'] as const

export function AdminChanges({ zoneId }: { readonly zoneId: string }) {
  const { query } = usePlace()
  const by = chosen(query, 'by', byChoices)
  const [opened, setOpened] = useState<Change>()
  const pathOf = () =>
    withQuery(inZone(zoneId, '/admin-audit'), {
      ...Object.fromEntries(passedOn.map((name) => [name, query.get(name)])),
      ...boundsOf(query),
    })
  const feed = useFeed<Change>(`admin audit ${zoneId} ${query}`, pathOf)
  return (
    <>
      <Filters>
        <Select
          name="entity_type"
          label="Kind of thing"
          value={query.get('entity_type') ?? ''}
          choices={[
            { value: '', label: 'Any' },
            ...kinds.map((kind) => ({ value: kind, label: nameOf(kind) })),
          ]}
        />
        <TextField name="entity_id" label="Its id" value={query.get('entity_id') ?? ''} />
        <Select name="by" label="By" value={by} choices={byChoices} />
        <TextField name="actor_id" label="Id of who did it" value={query.get('actor_id') ?? ''} />
        <TimeRange query={query} />
      </Filters>
      <div class="actions">
        <ExportCsv pathOf={pathOf} />
      </div>
      <FeedView feed={feed}>
        {({ rows, hasOlder }) => (
          <Table
            rows={by === '' ? rows.filter(isByPerson) : rows}
            keyOf={({ id }) => id}
            onOpen={setOpened}
            empty={
              hasOlder
                ? 'Nothing in what is loaded. Load older changes to look further.'
                : 'No change matches. Every change to this zone is listed here, with who made it.'
            }
            columns={[
              { title: 'When', cell: ({ occurred_at }) => <Time at={occurred_at} /> },
              { title: 'Who', cell: (change) => <Actor change={change} /> },
              { title: 'Change', cell: sentenceOf },
              { title: 'Thing', cell: ({ entity_id }) => <Id value={entity_id} /> },
              { title: 'Changed fields', cell: (change) => changedIn(change) },
              {
                title: 'Result',
                cell: ({ status_code: code }) => <Badge tone={code < 400 ? 'ok' : 'bad'}>{code}</Badge>,
              },
            ]}
          />
        )}
      </FeedView>
      {opened !== undefined && (
        <Dialog title="Admin change" side onClose={() => setOpened(undefined)}>
          <Facts
            of={{
              At: moment(opened.occurred_at),
              Who: <Actor change={opened} />,
              'Their id': opened.actor_id && <code>{opened.actor_id}</code>,
              'Their rights': opened.actor_scope,
              Request: <code>{opened.action}</code>,
              'Request id': <code>{opened.request_id}</code>,
              'Changed fields': changedIn(opened),
              'Place in the chain': `${opened.chain_seq}${opened.signed ? ', signed' : ''}`,
            }}
          />
          <h3>JSON</h3>
          <Json value={opened} />
        </Dialog>
      )}
    </>
  )
}

function Actor({ change: { actor_id: id, actor_name: name } }: { readonly change: Change }) {
  return name === null || name === id ? <Id value={id} /> : <span title={id ?? ''}>{name}</span>
}
