import type { ComponentChildren } from 'preact'

/** A page of its own, for who is not signed in. */
export function Alone({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div class="alone">
      <h1>
        <img src="/console/favicon.svg" alt="" width="36" height="36" /> {title}
      </h1>
      {children}
    </div>
  )
}
