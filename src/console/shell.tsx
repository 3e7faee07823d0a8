/** The frame around every page: where one can go, in which zone, as whom. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type Destination, Palette } from './palette.tsx'
import { Link, usePlace, visit } from './router.tsx'
import { type Session, useSurroundings, type Zone } from './state/session.tsx'
import { Button, Notice } from './ui/basics.tsx'

const zonePages: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    '',
    [
      ['dashboard', 'Dashboard'],
      ['setup', 'Guided setup'],
    ],
  ],
  [
    'Authority',
    [
      ['sessions', 'Sessions'],
      ['approvals', 'Approvals'],
      ['audit', 'Audit'],
      ['subjects', 'Subjects'],
    ],
  ],
  [
    'Definitions',
    [
      ['applications', 'Applications'],
      ['providers', 'Providers'],
      ['resources', 'Resources'],
      ['policies', 'Policies'],
    ],
  ],
  [
    'Services',
    [
      ['workloads', 'Launcher'],
      ['control', 'Control'],
      ['notifications', 'Notifications'],
    ],
  ],
]
const otherPages = [
  ['zones', 'Zones'],
  ['diagnostics', 'Diagnostics'],
  ['profile', 'Profile'],
  ['settings', 'Settings'],
] as const

/** Nothing is set up in a zone that is only looked at. */
const pagesOf = (readOnly: boolean): typeof zonePages =>
  zonePages.map(([group, entries]) => [group, entries.filter(([name]) => !readOnly || name !== 'setup')])

/** Every entry of the navigation. */
function destinationsIn(zone: Zone | undefined, readOnly: boolean): readonly Destination[] {
  const inZone = zone === undefined ? [] : pagesOf(readOnly).flatMap(([, entries]) => entries)
  return [
    ...inZone.map(([name, title]) => ({ title, path: pathIn(zone, name) })),
    ...otherPages.map(([name, title]) => ({ title, path: `/${name}` })),
  ]
}

const pathIn = (zone: Zone | undefined, name: string): string =>
  `/zones/${zone?.id ?? ''}${name === 'dashboard' ? '' : `/${name}`}`

function standingOf({ bootstrap, capability, reach }: Session): string {
  if (bootstrap) return 'administrator'
  return reach === null ? `may ${capability}` : 'account'
}

interface ShellProps {
  readonly zone: Zone | undefined
  readonly page: string
  readonly children: ComponentChildren
}

/** Of the page before this one, whatever frame it had; `null` for the first. */
let pathBefore: string | null = null

export function Shell({ zone, page, children }: ShellProps) {
  const { session, zones, readOnly, signOut } = useSurroundings()
  const [open, setOpen] = useState(false)
  const { path } = usePlace()
  const content = useRef<HTMLDivElement>(null)
  const toContent = () => content.current?.focus()
  useEffect(() => {
    setOpen(false)
    // What had the focus is gone with the page before: Tab goes on in this one, not at the top of the navigation.
    if (pathBefore !== null && pathBefore !== path && document.activeElement === document.body) toContent()
    pathBefore = path
  }, [path])
  useEffect(() => {
    if (!open) return
    const close = ({ key }: KeyboardEvent) => {
      if (key === 'Escape') setOpen(false)
    }
    addEventListener('keydown', close)
    return () => removeEventListener('keydown', close)
  }, [open])
  return (
    <div class={open ? 'shell open' : 'shell'}>
      <button type="button" class="skip" onClick={toContent}>
        To the content
      </button>
      <nav class="side" aria-label="Pages">
        <Link to="/" class="brand">
          <img src="/console/favicon.svg" alt="" width="24" height="24" /> Caracal
        </Link>
        {zone !== undefined && (
          <label class="zone-choice">
            <span class="hint">Zone</span>
            <select
              onInput={({ currentTarget }) => {
                const wanted = currentTarget.value
                // That of the page, until it is another.
                currentTarget.value = zone.id
                visit(`/zones/${wanted}`)
              }}
            >
              {(zones.includes(zone) ? zones : [...zones, zone]).map(({ id, name }) => (
                <option key={id} value={id} selected={id === zone.id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        {zone !== undefined &&
          pagesOf(readOnly).map(([group, entries]) => (
            <div key={group} class="nav-group">
              {group !== '' && <span class="hint">{group}</span>}
              {entries.map(([name, title]) => (
                <Link key={name} to={pathIn(zone, name)} current={name === page}>
                  {title}
                </Link>
              ))}
            </div>
          ))}
        <div class="nav-group">
          <span class="hint">Server</span>
          {otherPages.map(([name, title]) => (
            <Link key={name} to={`/${name}`} current={name === page}>
              {title}
            </Link>
          ))}
          <a href="/docs">API reference</a>
        </div>
        <div class="nav-end">
          <span title={session.user.id}>{session.user.name}</span>
          <span class="hint">{standingOf(session)}</span>
          <Button onClick={signOut}>Sign out</Button>
        </div>
      </nav>
      <div class="content" ref={content} tabIndex={-1}>
        <button
          type="button"
          class="menu"
          aria-label="Menu"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          ☰
        </button>
        {readOnly && (
          <div class="zone-note">
            <Notice tone="warn">
              This is a system zone: it belongs to the platform. You can look at everything in it, and change
              nothing.
            </Notice>
          </div>
        )}
        {children}
      </div>
      <Palette zone={zone} destinations={destinationsIn(zone, readOnly)} />
    </div>
  )
}
