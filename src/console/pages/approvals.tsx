/** Requests that wait for a person: `/approvals`, `/approvals/{id}`. */
import { useState } from 'preact/hooks'
import { api, inZone, withQuery } from '../api.ts'
import { Link, navigate, usePlace } from '../router.tsx'
import { useData } from '../state/use-data.ts'
import { Badge, Page, Section, Time } from '../ui/basics.tsx'
import { FeedView, liveMs, useFeed } from '../ui/feed.tsx'
import { chosen, Filters } from '../ui/filters.tsx'
import { Select, TextField } from '../ui/form.tsx'
import { Named, useApplicationNames } from '../ui/names.tsx'
import { Table } from '../ui/table.tsx'
import {
  type Approval,
  type ApprovalState,
  classNames,
  resourcesOf,
  scopesOf,
  states,
  tones,
} from './approvals/approval.ts'
import { ApprovalDialog } from './approvals/approval-dialog.tsx'
import { DecisionButtons } from './approvals/decision-buttons.tsx'
import { DecisionDialog, type Verb } from './approvals/decision-dialog.tsx'
import { Window } from './approvals/window.tsx'
import type { ZonePageProps } from './index.tsx'

const stateChoices = [
  ...states.map((state) => ({ value: state === 'pending' ? '' : state, label: state })),
  { value: 'all', label: 'any' },
]

type Counts = Readonly<Record<ApprovalState, number>>

export function Approvals({ zone, rest: [named] }: ZonePageProps) {
  const { query } = usePlace()
  const names = useApplicationNames(zone.id)
  const [opened, setOpened] = useState<string>()
  const [deciding, setDeciding] = useState<{ readonly approval: Approval; readonly verb: Verb }>()
  const path = inZone(zone.id, '/approvals')
  const wanted = chosen(query, 'state', stateChoices) || 'pending'
  const counts = useData(`${path} counts`, (signal) => api.get<Counts>(`${path}/counts`, signal), {
    refreshMs: liveMs,
  })
  const feed = useFeed<Approval>(`${path} ${query}`, () =>
    withQuery(path, {
      state: wanted === 'all' ? null : wanted,
      tier: query.get('tier'),
      principal: query.get('principal'),
    }),
  )
  const reload = () => {
    counts.reload()
    feed.data.reload()
  }
  const close = () => {
    setOpened(undefined)
    if (named !== undefined) navigate(`/zones/${zone.id}/approvals`, { replace: true })
  }
  const shown = opened ?? named
  return (
    <Page
      title="Approvals"
      lead="Requests for a scope whose tier needs a person. The agent waits until somebody decides or the window ends."
    >
      <Section>
        <Filters>
          <Select
            name="state"
            label="State"
            value={wanted === 'pending' ? '' : wanted}
            choices={stateChoices.map(({ value, label }) => ({
              value,
              label: withCount(label, counts.value),
            }))}
          />
          <TextField name="tier" label="Tier" value={query.get('tier') ?? ''} />
          <TextField name="principal" label="Principal id" value={query.get('principal') ?? ''} />
        </Filters>
        <FeedView feed={feed}>
          {({ rows }) => (
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              onOpen={({ id }) => setOpened(id)}
              empty={
                wanted === 'pending' ? (
                  <>
                    Nothing waits for an approval. Policies say by risk and approval_tiers which scopes need
                    one. <Link to={`/zones/${zone.id}/policies`}>See policies</Link>
                  </>
                ) : (
                  'No approval matches these filters.'
                )
              }
              columns={[
                { title: 'Asked', cell: ({ created_at }) => <Time at={created_at} /> },
                {
                  title: 'State',
                  cell: ({ state }) => <Badge tone={tones[state]}>{state}</Badge>,
                },
                { title: 'Asks for', cell: (approval) => <Wanted approval={approval} /> },
                {
                  title: 'Who asks',
                  cell: ({ application_id, principal_id }) => (
                    <Named id={application_id ?? principal_id} names={names} />
                  ),
                },
                { title: 'Tier', cell: ({ tier }) => tier },
                { title: 'Decided by', cell: ({ approver_class }) => classNames[approver_class] },
                { title: 'Window', cell: (approval) => <Window approval={approval} /> },
                {
                  title: 'Decision',
                  cell: (approval) => (
                    <DecisionButtons
                      approval={approval}
                      onChoose={(verb) => setDeciding({ approval, verb })}
                    />
                  ),
                },
              ]}
            />
          )}
        </FeedView>
      </Section>
      {deciding !== undefined && (
        <DecisionDialog
          {...deciding}
          zoneId={zone.id}
          onDecided={reload}
          onClose={() => setDeciding(undefined)}
        />
      )}
      {shown !== undefined && (
        <ApprovalDialog zoneId={zone.id} id={shown} names={names} onDecided={reload} onClose={close} />
      )}
    </Page>
  )
}

function Wanted({ approval }: { readonly approval: Approval }) {
  return (
    <>
      {scopesOf(approval).join(', ')}
      <div class="hint">{resourcesOf(approval).join(', ')}</div>
    </>
  )
}

function withCount(state: string, counts: Counts | undefined): string {
  const count = counts?.[state as ApprovalState]
  return count === undefined ? state : `${state} (${count})`
}
