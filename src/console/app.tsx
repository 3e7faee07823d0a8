/** Signed in or not, which zone, which page. */
import { useEffect, useState } from 'preact/hooks'
import { ApiError, api, onSessionEnd, tellOfNewSession } from './api.ts'
import { pages } from './pages/index.tsx'
import { ResetPassword, VerifyEmail } from './pages/mailed-links.tsx'
import { Onboarding } from './pages/onboarding.tsx'
import { takeReturn } from './pages/sign-in/social.tsx'
import { SignIn, SignInAgain } from './pages/sign-in.tsx'
import { currentPath, navigate, usePlace } from './router.tsx'
import { Shell } from './shell.tsx'
import { type Session, SurroundingsContext, useSurroundings, type Zone } from './state/session.tsx'
import { rememberWay } from './state/sign-in-way.ts'
import { useData } from './state/use-data.ts'
import { Async, Button, Failure, Loading, Notice, Page } from './ui/basics.tsx'

type Standing =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'out'; readonly why?: string }
  | { readonly kind: 'denied' }
  | { readonly kind: 'failed'; readonly error: Error }
  /** `over`: the session has ended while somebody works; what they have on the screen stays. */
  | { readonly kind: 'in'; readonly session: Session; readonly over: boolean }

export function App() {
  const [standing, setStanding] = useState<Standing>({ kind: 'unknown' })
  const look = async () => {
    try {
      const session = await api.get<Session>('/auth/session')
      rememberWay(session)
      const wanted = takeReturn()
      if (wanted !== null && currentPath() === '/') navigate(wanted, { replace: true })
      setStanding({ kind: 'in', session, over: false })
    } catch (error) {
      if (error instanceof ApiError && error.status === 401)
        setStanding((was) => (was.kind === 'in' ? { ...was, over: true } : { kind: 'out' }))
      else if (error instanceof ApiError && error.code === 'access_denied') setStanding({ kind: 'denied' })
      else setStanding((was) => (was.kind === 'in' ? was : { kind: 'failed', error: error as Error }))
    }
  }
  useEffect(() => {
    void look()
    return onSessionEnd(({ code }) =>
      setStanding((was) => {
        if (code === 'access_denied') return { kind: 'denied' }
        return was.kind === 'in' ? { ...was, over: true } : { kind: 'out', why: 'Your session has ended.' }
      }),
    )
  }, [])
  const { path } = usePlace()
  if (path === '/reset-password') return <ResetPassword />
  if (path === '/verify-email') return <VerifyEmail onSignedIn={() => void look()} />
  switch (standing.kind) {
    case 'unknown':
      return (
        <div class="alone">
          <Loading />
        </div>
      )
    case 'failed':
      return (
        <div class="alone">
          <Failure error={standing.error} retry={() => void look()} />
        </div>
      )
    case 'denied':
      return (
        <div class="alone">
          <h1>Access denied</h1>
          <Notice tone="bad">
            You may not use this console. Ask whoever runs this server to let you in:{' '}
            <code>caracal allowlist add</code>.
          </Notice>
          <Button onClick={() => setStanding({ kind: 'out' })}>Sign in as somebody else</Button>
        </div>
      )
    case 'out':
      return (
        <SignIn
          {...(standing.why === undefined ? {} : { why: standing.why })}
          onSignedIn={() => void look()}
        />
      )
    case 'in':
      return (
        <>
          <SignedIn
            key={standing.session.user.id}
            session={standing.session}
            onChange={() => void look()}
            onOut={(why) => setStanding({ kind: 'out', ...(why === undefined ? {} : { why }) })}
          />
          {standing.over && (
            <SignInAgain
              onSignedIn={() => void look().then(tellOfNewSession)}
              onLeave={() => setStanding({ kind: 'out' })}
            />
          )}
        </>
      )
  }
}

interface SignedInProps {
  readonly session: Session
  /** What the operator may can be another now. */
  readonly onChange: () => void
  readonly onOut: (why?: string) => void
}

function SignedIn({ session, onChange, onOut }: SignedInProps) {
  const known = useData('zones', (signal) => zonesOf(session, signal))
  const reloadZones = () => {
    known.reload()
    onChange()
  }
  const signOut = async () => {
    await api.remove('/auth/session').catch(() => undefined)
    onOut()
  }
  return (
    <Async of={known}>
      {(zones) => (
        <SurroundingsContext.Provider
          value={{
            ...zones,
            session,
            readOnly: false,
            zoneId: null,
            reloadZones,
            signOut: () => void signOut(),
            leave: onOut,
          }}
        >
          <Routes />
        </SurroundingsContext.Provider>
      )}
    </Async>
  )
}

/** A token of one zone cannot list zones. No list has the platform's own. */
async function zonesOf({ zone_id }: Session, signal: AbortSignal) {
  const own =
    zone_id === null
      ? api.list<Zone>('/v1/zones', signal)
      : api.get<Zone>(`/v1/zones/${encodeURIComponent(zone_id)}`, signal).then((zone) => [zone])
  const [zones, systemZones] = await Promise.all([own, api.list<Zone>('/system-zones', signal)])
  return { zones, systemZones }
}

const lastZone = 'caracal.zone'

function Routes() {
  const { parts } = usePlace()
  const { zones, systemZones } = useSurroundings()
  const [first, zoneId, name = 'dashboard', ...rest] = parts
  const zone =
    first === 'zones' && zoneId !== undefined
      ? [...zones, ...systemZones].find(({ id }) => id === zoneId)
      : undefined
  const isOwn = zones.some(({ id }) => id === zone?.id)
  useEffect(() => {
    if (zone !== undefined && isOwn) localStorage.setItem(lastZone, zone.id)
  }, [zone, isOwn])
  const preferred = zones.find(({ id }) => id === localStorage.getItem(lastZone)) ?? zones[0]
  // A page without its zone, as in a link from elsewhere, is that of the zone looked at last.
  const detour = (() => {
    if (preferred === undefined || zone !== undefined) return null
    if (first === undefined) return `/zones/${preferred.id}`
    return pages[first]?.inZone ? `/zones/${preferred.id}/${parts.map(encodeURIComponent).join('/')}` : null
  })()
  useEffect(() => {
    if (detour !== null) navigate(detour, { replace: true })
  }, [detour])
  if (detour !== null) return null
  if (zone !== undefined) return <InZone zone={zone} name={name} rest={rest} />
  const page = pages[first ?? '']
  const [, ...below] = parts
  const isServerPage = page !== undefined && !page.inZone && (first !== 'zones' || zoneId === undefined)
  if (zones.length === 0 && !isServerPage) return <Onboarding />
  return (
    <Shell zone={preferred} page={first ?? ''}>
      {isServerPage ? <page.show key={first} rest={below} /> : <NotFound />}
    </Shell>
  )
}

interface InZoneProps {
  readonly zone: Zone
  readonly name: string
  readonly rest: readonly string[]
}

function InZone({ zone, name, rest }: InZoneProps) {
  const surroundings = useSurroundings()
  const readOnly = surroundings.systemZones.some(({ id }) => id === zone.id)
  const page = pages[name]
  return (
    <SurroundingsContext.Provider value={{ ...surroundings, readOnly, zoneId: zone.id }}>
      <Shell zone={zone} page={name}>
        {page?.inZone ? <page.show key={`${zone.id} ${name}`} zone={zone} rest={rest} /> : <NotFound />}
      </Shell>
    </SurroundingsContext.Provider>
  )
}

function NotFound() {
  return (
    <Page title="Not found">
      <Notice tone="warn">There is no such page, or no such zone that you may see.</Notice>
      <Button onClick={() => navigate('/')}>To the dashboard</Button>
    </Page>
  )
}
