/** Dynamic client registration of a zone: on, off, and what becomes of what registered itself. */
import { api } from '../../api.ts'
import { useSurroundings, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Notice } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, Select, type Values } from '../../ui/form.tsx'
import { counted } from '../../ui/format.ts'

interface DcrStatus {
  readonly dcr_enabled: boolean
  readonly live_dcr_applications: number
}

interface RegistrationProps {
  readonly zone: Zone
  readonly onClose: () => void
}

export function Registration({ zone, onClose }: RegistrationProps) {
  const { reloadZones } = useSurroundings()
  const status = useData(zone.id, (signal) => api.get<DcrStatus>(`/v1/zones/${zone.id}/dcr-status`, signal))
  const change = async (body: { dcr_enabled: boolean; dcr_shutdown?: string | undefined }) => {
    await api.patch(`/v1/zones/${zone.id}`, body)
    reloadZones()
    onClose()
  }
  return (
    <Dialog title={`Dynamic registration in “${zone.name}”`} onClose={onClose}>
      <Async of={status}>
        {({ dcr_enabled, live_dcr_applications: live }) => (
          <>
            <p>
              It is {dcr_enabled ? <Badge tone="warn">on</Badge> : <Badge>off</Badge>}
              {live > 0 && ` with ${counted(live, 'live application')} that registered`}.
            </p>
            {dcr_enabled ? (
              <TurnOff
                live={live}
                onCancel={onClose}
                onOff={(how) => change({ dcr_enabled: false, dcr_shutdown: how })}
              />
            ) : (
              <Form action="Turn on" onSubmit={() => change({ dcr_enabled: true })} onCancel={onClose}>
                <p>
                  Applications may then register themselves in this zone and get credentials that expire. They
                  hold nothing until a policy grants it to them.
                </p>
              </Form>
            )}
          </>
        )}
      </Async>
    </Dialog>
  )
}

interface TurnOffProps {
  readonly live: number
  readonly onOff: (how: string | undefined) => Promise<void>
  readonly onCancel: () => void
}

function TurnOff({ live, onOff, onCancel }: TurnOffProps) {
  return (
    <Form
      action="Turn off"
      onSubmit={(values: Values) => onOff(values.optional('shutdown'))}
      onCancel={onCancel}
    >
      <p>No further application can register itself.</p>
      {live > 0 && (
        <>
          <Select
            name="shutdown"
            label={`The ${counted(live, 'application')} that registered`}
            choices={[
              { value: 'keep_live', label: 'Keep them until they expire' },
              { value: 'revoke_live', label: 'Revoke them now' },
            ]}
          />
          <Notice tone="warn">
            Revoking archives them at once: their authority is withdrawn, their sessions end and what they
            delegated is gone.
          </Notice>
        </>
      )}
    </Form>
  )
}
