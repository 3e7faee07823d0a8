import { setQuery, usePlace } from '../router.tsx'
import { leaving } from './entered.ts'

export interface Tab {
  readonly id: string
  readonly title: string
}

/** The chosen tab; it stands in the address as `?tab=`. */
export function useTab(tabs: readonly Tab[]): string {
  const wanted = usePlace().query.get('tab')
  return tabs.find(({ id }) => id === wanted)?.id ?? tabs[0]?.id ?? ''
}

export function Tabs({ tabs, current }: { readonly tabs: readonly Tab[]; readonly current: string }) {
  return (
    <div class="tabs" role="tablist">
      {tabs.map(({ id, title }, index) => (
        <button
          key={id}
          type="button"
          role="tab"
          aria-selected={id === current}
          onClick={() => leaving(document.body, () => setQuery('tab', index === 0 ? '' : id))}
        >
          {title}
        </button>
      ))}
    </div>
  )
}
