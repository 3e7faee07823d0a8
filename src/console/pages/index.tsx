/** Every page by the part of the address that names it. */
import type { ComponentType } from 'preact'
import type { Zone } from '../state/session.tsx'
import { Applications } from './applications.tsx'
import { Approvals } from './approvals.tsx'
import { Audit } from './audit.tsx'
import { ControlPages } from './control.tsx'
import { Dashboard } from './dashboard.tsx'
import { Diagnostics } from './diagnostics.tsx'
import { Notifications } from './notifications.tsx'
import { Policies } from './policies.tsx'
import { Profile } from './profile.tsx'
import { Providers } from './providers.tsx'
import { Resources } from './resources.tsx'
import { Sessions } from './sessions.tsx'
import { Settings } from './settings.tsx'
import { Setup } from './setup.tsx'
import { Subjects } from './subjects.tsx'
import { Workloads } from './workloads.tsx'
import { Zones } from './zones.tsx'

export interface ZonePageProps {
  readonly zone: Zone
  /** The parts of the address below the page's own. */
  readonly rest: readonly string[]
}

export interface ServerPageProps {
  readonly rest: readonly string[]
}

interface ZonePage {
  readonly inZone: true
  readonly show: ComponentType<ZonePageProps>
}

interface ServerPage {
  readonly inZone: false
  readonly show: ComponentType<ServerPageProps>
}

export const pages: Readonly<Record<string, ZonePage | ServerPage>> = {
  dashboard: { inZone: true, show: Dashboard },
  setup: { inZone: true, show: Setup },
  sessions: { inZone: true, show: Sessions },
  approvals: { inZone: true, show: Approvals },
  audit: { inZone: true, show: Audit },
  subjects: { inZone: true, show: Subjects },
  applications: { inZone: true, show: Applications },
  providers: { inZone: true, show: Providers },
  resources: { inZone: true, show: Resources },
  policies: { inZone: true, show: Policies },
  workloads: { inZone: true, show: Workloads },
  control: { inZone: true, show: ControlPages },
  notifications: { inZone: true, show: Notifications },
  zones: { inZone: false, show: Zones },
  diagnostics: { inZone: false, show: Diagnostics },
  profile: { inZone: false, show: Profile },
  settings: { inZone: false, show: Settings },
}
