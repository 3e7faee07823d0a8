/** Who is signed in, what they may do, and where else they are signed in. */
import { type Session, useSurroundings, type Zone } from '../state/session.tsx'
import { Button, Facts, Id, Page, Section, Time } from '../ui/basics.tsx'
import { ConsoleSessions } from './profile/console-sessions.tsx'
import { SignInMethods } from './profile/sign-in-methods.tsx'
import { ComingBack } from './sign-in/social.tsx'

const abilities: Readonly<Record<Session['capability'], string>> = {
  read: 'Look at everything, change nothing',
  write: 'Look at and change definitions; not decide approvals',
  approve: 'Look at everything and decide approvals; not change definitions',
}

function rightsOf({ bootstrap, capability, zone_id, reach }: Session, zones: readonly Zone[]) {
  if (reach !== null)
    return { 'May do': 'Make zones and run them; in other zones what your roles there grant' }
  return {
    'May do': bootstrap ? 'Everything: administrator' : abilities[capability],
    Where:
      zone_id === null
        ? 'In every zone'
        : `In zone ${zones.find(({ id }) => id === zone_id)?.name ?? zone_id} only`,
  }
}

export function Profile() {
  const { session, zones, signOut } = useSurroundings()
  const { user, expires_at } = session
  return (
    <Page title="Profile" actions={<Button onClick={signOut}>Sign out</Button>}>
      <ComingBack />
      <Section title={user.name}>
        <Facts
          of={{
            'E-mail': user.email ?? undefined,
            Id: <Id value={user.id} />,
            ...rightsOf(session, zones),
            'Session ends': <Time at={expires_at} />,
          }}
        />
      </Section>
      {user.email !== null && <SignInMethods email={user.email} />}
      <ConsoleSessions />
    </Page>
  )
}
