import { useState } from 'preact/hooks'
import { ApiError, api } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Id, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'

interface ConsoleSession {
  readonly id: string
  readonly created_at: string
  readonly expires_at: string
  readonly current: boolean
}

/** Where the operator is signed in; not shown by a server that does not tell. */
export function ConsoleSessions() {
  const sessions = useData('sessions', async (signal) => {
    const answer = await api.get<{ readonly items: readonly ConsoleSession[] }>('/auth/sessions', signal)
    return answer.items
  })
  const [ending, setEnding] = useState<ConsoleSession>()
  if (sessions.error instanceof ApiError && sessions.error.status === 404) return null
  const end = async (id: string) => {
    await api.remove(`/auth/sessions/${encodeURIComponent(id)}`)
    sessions.reload()
  }
  return (
    <Section title="Where you are signed in">
      <Async of={sessions}>
        {(rows) => (
          <Table
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              {
                title: 'Session',
                cell: ({ id, current }) => (
                  <>
                    <Id value={id} /> {current && <Badge tone="ok">this one</Badge>}
                  </>
                ),
              },
              { title: 'Signed in', cell: ({ created_at }) => <Time at={created_at} /> },
              { title: 'Ends', cell: ({ expires_at }) => <Time at={expires_at} /> },
              {
                title: '',
                align: 'right',
                cell: (session) =>
                  !session.current && (
                    <Button kind="danger" onClick={() => setEnding(session)}>
                      Sign out
                    </Button>
                  ),
              },
            ]}
            empty="You are signed in nowhere else."
          />
        )}
      </Async>
      {ending !== undefined && (
        <Confirm
          title="Sign out there?"
          action="Sign out"
          onConfirm={() => end(ending.id)}
          onClose={() => setEnding(undefined)}
        >
          <p>
            The browser that signed in <Time at={ending.created_at} /> has to sign in again. Agents and their
            sessions are not touched.
          </p>
        </Confirm>
      )}
    </Section>
  )
}
