/** The address bar: pages live below `/console`, whatever port serves them. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { isEntered, leaving } from './ui/entered.ts'

const base = '/console'

/** Path of the page, without the base; always begins with a slash. */
export function currentPath(): string {
  const { pathname } = location
  const path = pathname === base || pathname.startsWith(`${base}/`) ? pathname.slice(base.length) : pathname
  return path === '' ? '/' : path
}

const listeners = new Set<() => void>()
/** The address of the page on the screen. */
let shown = location.href
const show = () => {
  shown = location.href
  for (const listener of listeners) listener()
}

let isAnswered = false
addEventListener('popstate', () => {
  if (isAnswered || !isEntered(document.body)) {
    isAnswered = false
    show()
    return
  }
  // The browser has left already: its address goes back to the page until somebody has answered.
  history.pushState(null, '', shown)
  leaving(document.body, () => {
    isAnswered = true
    history.back()
  })
})

const hrefOf = (path: string): string => base + path

/** Goes to a page; `replace` leaves no way back to this one. */
export function navigate(path: string, options: { readonly replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, '', hrefOf(path))
  else history.pushState(null, '', hrefOf(path))
  show()
  scrollTo(0, 0)
}

/** Goes to a page that a person chose; asks first where something typed would be lost. */
export function visit(path: string): void {
  leaving(document.body, () => navigate(path))
}

interface Place {
  /** Decoded parts of the path. */
  readonly parts: readonly string[]
  readonly path: string
  readonly query: URLSearchParams
}

function currentPlace(): Place {
  const path = currentPath()
  const parts = path.split('/').filter((part) => part !== '')
  return { path, parts: parts.map(decoded), query: new URLSearchParams(location.search) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Where we are; the component is drawn again when that changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(currentPlace)
  useEffect(() => {
    const update = () => setPlace(currentPlace())
    listeners.add(update)
    update()
    return () => void listeners.delete(update)
  }, [])
  return place
}

/** Changes one part of the query, in place. An empty value takes it out. */
export function setQuery(name: string, value: string): void {
  const query = new URLSearchParams(location.search)
  if (value === '') query.delete(name)
  else query.set(name, value)
  const search = query.toString()
  navigate(`${currentPath()}${search === '' ? '' : `?${search}`}`, { replace: true })
}

interface LinkProps {
  readonly to: string
  readonly class?: string
  readonly current?: boolean
  readonly children: ComponentChildren
}

/** A link within the console; opened in another tab it works like any. */
export function Link({ to, children, current, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return
    event.preventDefault()
    visit(to)
  }
  return (
    <a
      href={hrefOf(to)}
      onClick={follow}
      class={rest.class ?? ''}
      {...(current ? { 'aria-current': 'page' } : {})}
    >
      {children}
    </a>
  )
}
