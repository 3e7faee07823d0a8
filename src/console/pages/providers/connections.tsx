/** The accounts that people connected to an OAuth provider. */
import { useState } from 'preact/hooks'
import { api, inZone, withQuery } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Id, Notice, Section, Time, type Tone } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'
import { ConnectAccount } from './connect.tsx'

interface Connection {
  readonly id: string
  readonly subject_id: string
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: string | null
  readonly refreshed_at: string | null
  readonly renewable: boolean
  readonly created_at: string
}

type UpstreamRevocation = 'revoked' | 'unsupported' | 'failed'

const tones: Readonly<Record<Connection['status'], Tone>> = { active: 'ok', revoked: 'idle', expired: 'warn' }

const upstreamOutcome: Readonly<Record<UpstreamRevocation, string>> = {
  revoked: 'Revoked, here and at the provider.',
  unsupported:
    'Revoked here. The provider has no revocation endpoint: end the access in the account there too.',
  failed: 'Revoked here. The provider did not confirm it: end the access in the account there too.',
}

/** The account that everybody in the zone shares. */
const shared = 'caracal:shared'

export function Connections({ zone, providerId }: { readonly zone: Zone; readonly providerId: string }) {
  const path = inZone(zone.id, '/provider-connections')
  const query = withQuery(path, { provider_id: providerId })
  const connections = useData(query, (signal) => api.list<Connection>(query, signal))
  const mayWrite = useMay('write')
  const [connecting, setConnecting] = useState(false)
  const [revoking, setRevoking] = useState<Connection>()
  const [outcome, setOutcome] = useState<string>()
  const connect = mayWrite && <Button onClick={() => setConnecting(true)}>Connect an account</Button>
  return (
    <Section title="Connected accounts" actions={connect}>
      {outcome !== undefined && <Notice>{outcome}</Notice>}
      <Async of={connections}>
        {(rows) => (
          <Table
            rows={rows}
            keyOf={({ id }) => id}
            textOf={({ subject_id }) => subject_id}
            columns={[
              {
                title: 'Whose',
                cell: ({ subject_id }) =>
                  subject_id === shared ? 'Shared by the zone' : <Id value={subject_id} />,
              },
              { title: 'State', cell: ({ status }) => <Badge tone={tones[status]}>{status}</Badge> },
              { title: 'Connected', cell: ({ created_at }) => <Time at={created_at} /> },
              {
                title: 'Expires',
                cell: ({ status, expires_at, renewable }) =>
                  status === 'active' && (
                    <>
                      {expires_at === null ? 'never' : <Time at={expires_at} />}
                      {renewable && <span class="faint"> (renewed by itself)</span>}
                    </>
                  ),
              },
              {
                title: '',
                align: 'right',
                cell: (row) =>
                  mayWrite &&
                  row.status === 'active' && (
                    <Button kind="danger" onClick={() => setRevoking(row)}>
                      Revoke
                    </Button>
                  ),
              },
            ]}
            empty="No account is connected yet. Calls for a person are refused until that person connects one."
          />
        )}
      </Async>
      {connecting && (
        <ConnectAccount
          path={path}
          providerId={providerId}
          onClose={() => {
            setConnecting(false)
            connections.reload()
          }}
        />
      )}
      {revoking !== undefined && (
        <Confirm
          title="Revoke the connection"
          action="Revoke"
          onClose={() => setRevoking(undefined)}
          onConfirm={async () => {
            const { upstream_revocation } = await api.post<{ upstream_revocation: UpstreamRevocation }>(
              `${path}/revoke`,
              { provider_id: providerId, subject_id: revoking.subject_id },
            )
            setOutcome(upstreamOutcome[upstream_revocation])
            connections.reload()
          }}
        >
          Calls that use this account fail at once. To undo it, the account has to be connected again.
        </Confirm>
      )}
    </Section>
  )
}
