/** Ctrl-K or ⌘K: go anywhere by typing a part of its name. */
import { useEffect, useState } from 'preact/hooks'
import { visit } from './router.tsx'
import { useSurroundings, type Zone } from './state/session.tsx'
import { Dialog } from './ui/dialog.tsx'

export interface Destination {
  readonly title: string
  readonly path: string
}

interface PaletteProps {
  readonly zone: Zone | undefined
  readonly destinations: readonly Destination[]
}

export function Palette({ zone, destinations }: PaletteProps) {
  const [open, setOpen] = useState(false)
  useEffect(() => {
    const toggle = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      setOpen((was) => !was)
    }
    addEventListener('keydown', toggle)
    return () => removeEventListener('keydown', toggle)
  }, [])
  if (!open) return null
  return <Choose zone={zone} destinations={destinations} onClose={() => setOpen(false)} />
}

function Choose({ zone, destinations, onClose }: PaletteProps & { readonly onClose: () => void }) {
  const { zones, systemZones } = useSurroundings()
  const [wanted, setWanted] = useState('')
  const [chosen, setChosen] = useState(0)
  const all = [
    ...destinations,
    ...[...new Map([...zones, ...systemZones].map((one) => [one.id, one])).values()]
      .filter(({ id }) => id !== zone?.id)
      .map(({ id, name }) => ({ title: `Zone ${name}`, path: `/zones/${id}` })),
  ]
  const words = wanted.toLowerCase().split(/\s+/)
  const found = all
    .filter(({ title }) => words.every((word) => title.toLowerCase().includes(word)))
    .slice(0, 12)
  const at = Math.min(chosen, found.length - 1)
  const go = (destination: Destination | undefined) => {
    if (destination === undefined) return
    onClose()
    visit(destination.path)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined) setChosen((at + step + found.length) % Math.max(1, found.length))
    else if (event.key === 'Enter') go(found[at])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Go to" onClose={onClose}>
      <div class="field">
        <input
          type="search"
          aria-label="Page or zone"
          aria-controls="palette"
          aria-activedescendant={found.length > 0 ? `palette-${at}` : undefined}
          autocomplete="off"
          value={wanted}
          onInput={(event) => {
            setWanted(event.currentTarget.value)
            setChosen(0)
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div class="palette" id="palette" role="listbox" aria-label="Destinations">
        {found.map((destination, index) => (
          <button
            key={destination.path}
            id={`palette-${index}`}
            type="button"
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onClick={() => go(destination)}
          >
            {destination.title}
          </button>
        ))}
        {found.length === 0 && <p class="faint">Nothing is called that.</p>}
      </div>
    </Dialog>
  )
}
