import { useState } from 'preact/hooks'
import { api, inZone, withQuery } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Id, Section, Time } from '../../ui/basics.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { type Subject, subjectName, subjectPath } from './shapes.ts'

interface SubjectListProps {
  readonly zone: Zone
  readonly kind: 'user' | 'application'
}

/** The server gives 200 at once at most. */
const pageSize = 200

export function SubjectList({ zone, kind }: SubjectListProps) {
  const [search, setSearch] = useState('')
  const [pages, setPages] = useState(1)
  const subjects = useData(`${zone.id} ${kind} ${search} ${pages}`, async (signal) => {
    const rows: Subject[] = []
    let cursor: string | null = null
    for (let page = 0; page < pages; page++) {
      const answer: { items: readonly Subject[]; next_cursor: string | null } = await api.page<Subject>(
        withQuery(inZone(zone.id, '/subjects'), { kind, search, limit: pageSize, cursor }),
        signal,
      )
      rows.push(...answer.items)
      cursor = answer.next_cursor
      if (cursor === null) break
    }
    return { rows, more: cursor !== null }
  })
  return (
    <Section>
      <input
        class="search"
        type="search"
        placeholder="Search by id or name"
        aria-label="Search by id or name"
        onChange={(event) => {
          setPages(1)
          setSearch(event.currentTarget.value.trim())
        }}
      />
      <Async of={subjects}>
        {({ rows, more }) => (
          <>
            <Table
              rows={rows}
              keyOf={({ subject_id }) => subject_id}
              onOpen={({ subject_id }) => navigate(subjectPath(zone.id, subject_id))}
              columns={columnsOf(zone, kind)}
              empty={search === '' ? <NobodyYet kind={kind} /> : `Nobody with “${search}”.`}
            />
            {more && <Button onClick={() => setPages(pages + 1)}>Show more</Button>}
          </>
        )}
      </Async>
    </Section>
  )
}

function columnsOf(zone: Zone, kind: SubjectListProps['kind']): readonly Column<Subject>[] {
  const who: Column<Subject> = {
    title: kind === 'user' ? 'Person' : 'Application',
    cell: (subject) => <Link to={subjectPath(zone.id, subject.subject_id)}>{subjectName(subject)}</Link>,
  }
  const where: Column<Subject> =
    kind === 'user'
      ? { title: 'Vouched for by', cell: ({ issuer }) => issuer ?? <span class="faint">–</span> }
      : { title: 'Id', cell: ({ subject_id }) => <Id value={subject_id} /> }
  return [
    who,
    where,
    {
      title: 'Authority',
      cell: ({ active_sessions }) =>
        active_sessions > 0 ? <Badge tone="ok">{active_sessions} active</Badge> : <Badge>none active</Badge>,
    },
    { title: 'Records', align: 'right', cell: ({ total_sessions }) => total_sessions },
    { title: 'Revoked', align: 'right', cell: ({ revoked_sessions }) => revoked_sessions },
    { title: 'Last seen', cell: ({ last_seen }) => <Time at={last_seen} /> },
  ]
}

function NobodyYet({ kind }: { readonly kind: SubjectListProps['kind'] }) {
  return kind === 'user' ? (
    <p>
      People appear here once an application acts for them with a token of an issuer that this zone trusts.
    </p>
  ) : (
    <p>Applications appear here once they have asked for their first mandate.</p>
  )
}
