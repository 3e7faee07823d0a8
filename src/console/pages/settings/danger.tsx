/** The end of the operator's account, with the zones that are its own. */
import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { useSurroundings } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Button, Section } from '../../ui/basics.tsx'
import { DeleteAccount } from './delete-account.tsx'
import { EndingZones, type OwnAccount } from './ending-zones.tsx'

export function Danger() {
  const { session } = useSurroundings()
  if (session.user.email !== null) return <DangerOfAccount />
  return (
    <Section title="Delete account">
      <p>
        You are signed in with a token, and a token has no account. It is good until it expires or whoever
        manages tokens revokes it.
      </p>
    </Section>
  )
}

function DangerOfAccount() {
  const account = useData('own account', (signal) => api.get<OwnAccount>('/auth/account', signal))
  const [asked, setAsked] = useState(false)
  return (
    <Section title="Delete account">
      <p>
        Your account and its roles are deleted, and you are signed out everywhere. What you did stays in the
        audit under your address.
      </p>
      <Async of={account}>
        {(own) => (
          <>
            <EndingZones zones={own.zones} />
            <Button kind="danger" onClick={() => setAsked(true)}>
              Delete account
            </Button>
            {asked && (
              <DeleteAccount account={own} onClose={() => setAsked(false)} onRefused={account.reload} />
            )}
          </>
        )}
      </Async>
    </Section>
  )
}
