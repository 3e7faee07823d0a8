/** What agents asked for and what became of it, newest first. */
import { useState } from 'preact/hooks'
import { inZone, withQuery } from '../../api.ts'
import { usePlace } from '../../router.tsx'
import { Button } from '../../ui/basics.tsx'
import { FeedView, useFeed } from '../../ui/feed.tsx'
import { Filters } from '../../ui/filters.tsx'
import { Select, TextField } from '../../ui/form.tsx'
import type { Names } from '../../ui/names.tsx'
import { eventTypes, type FullAuditEvent } from './event.ts'
import { EventTable } from './event-table.tsx'
import { ExportCsv } from './export-csv.tsx'
import { groupByRequest } from './group-by-request.ts'
import { NothingYet } from './nothing-yet.tsx'
import { RequestTable } from './request-table.tsx'
import { boundsOf, TimeRange } from './time-range.tsx'

const any = { value: '', label: 'Any' }
const typeChoices = [any, ...Object.entries(eventTypes).map(([value, label]) => ({ value, label }))]
const decisionChoices = [
  any,
  { value: 'allow', label: 'Allowed' },
  { value: 'deny', label: 'Denied' },
  { value: 'partial', label: 'Partly allowed' },
]
const passedOn = ['event_type', 'decision', 'application_id', 'session_id', 'request_id', 'label'] as const

interface ActivityProps {
  readonly zoneId: string
  readonly names: Names
}

export function Activity({ zoneId, names }: ActivityProps) {
  const { query } = usePlace()
  const [live, setLive] = useState(true)
  const [grouped, setGrouped] = useState(false)
  const pathOf = () =>
    withQuery(inZone(zoneId, '/audit'), {
      ...Object.fromEntries(passedOn.map((name) => [name, query.get(name)])),
      ...boundsOf(query),
    })
  const feed = useFeed<FullAuditEvent>(`audit ${zoneId} ${query}`, pathOf, live)
  const resource = query.get('resource') ?? ''
  return (
    <>
      <Filters>
        <Field name="event_type" label="Event" choices={typeChoices} query={query} />
        <Field name="decision" label="Decision" choices={decisionChoices} query={query} />
        <Field
          name="application_id"
          label="Application"
          choices={[any, ...[...names].map(([value, label]) => ({ value, label }))]}
          query={query}
        />
        <TextField name="resource" label="Resource" value={resource} />
        <TextField name="session_id" label="Session id" value={query.get('session_id') ?? ''} />
        <TextField name="label" label="Label" value={query.get('label') ?? ''} />
        <TextField name="request_id" label="Request id" value={query.get('request_id') ?? ''} />
        <TimeRange query={query} />
      </Filters>
      <div class="actions">
        <Button onClick={() => setLive(!live)}>{live ? 'Pause' : 'Resume'}</Button>
        <Button onClick={() => setGrouped(!grouped)}>
          {grouped ? 'Show single events' : 'Group by request'}
        </Button>
        <ExportCsv pathOf={pathOf} />
      </div>
      <FeedView feed={feed}>
        {({ rows, hasOlder }) => {
          const wanted = rows.filter((event) => resource === '' || isOf(event, resource))
          const filtered = [...query.keys()].some((name) => name !== 'tab')
          const empty = filtered ? (
            emptyText(resource !== '' && hasOlder)
          ) : (
            <NothingYet home={`/zones/${zoneId}`} />
          )
          return grouped ? (
            <RequestTable requests={groupByRequest(wanted)} zoneId={zoneId} names={names} empty={empty} />
          ) : (
            <EventTable events={wanted} zoneId={zoneId} names={names} empty={empty} />
          )
        }}
      </FeedView>
    </>
  )
}

interface FieldProps {
  readonly name: string
  readonly label: string
  readonly choices: readonly { readonly value: string; readonly label: string }[]
  readonly query: URLSearchParams
}

function Field({ name, label, choices, query }: FieldProps) {
  return <Select name={name} label={label} choices={choices} value={query.get(name) ?? ''} />
}

/** The server has no such filter: it holds for what is loaded. */
function isOf({ metadata_json }: FullAuditEvent, resource: string): boolean {
  const named = [metadata_json?.resource, metadata_json?.requested].flat()
  return named.some((one) => typeof one === 'string' && one.includes(resource))
}

const emptyText = (olderMayMatch: boolean): string =>
  olderMayMatch
    ? 'Nothing of this resource in what is loaded. Load older events to look further.'
    : 'Nothing matches these filters.'
