/** Small parts of every page. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ApiError } from '../api.ts'
import type { Data } from '../state/use-data.ts'
import { copied } from './clipboard.ts'
import { ago, moment } from './format.ts'

interface PageProps {
  readonly title: string
  /** One sentence: what these things are for. */
  readonly lead?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}

export function Page({ title, lead, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Caracal`
  }, [title])
  return (
    <main class="page">
      <header class="page-head">
        <div>
          <h1>{title}</h1>
          {lead !== undefined && <p class="lead">{lead}</p>}
        </div>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </main>
  )
}

interface SectionProps {
  readonly title?: string
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}

/** A bordered part of a page. */
export function Section({ title, actions, children }: SectionProps) {
  return (
    <section class="card">
      {(title !== undefined || actions !== undefined) && (
        <header class="card-head">
          <h2>{title}</h2>
          {actions !== undefined && <div class="actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  )
}

interface ButtonProps {
  readonly onClick?: () => unknown
  readonly kind?: 'primary' | 'plain' | 'danger' | 'link'
  readonly type?: 'button' | 'submit'
  readonly disabled?: boolean
  readonly title?: string
  readonly children: ComponentChildren
}

export function Button({ onClick, kind = 'plain', type = 'button', children, ...rest }: ButtonProps) {
  return (
    <button type={type} class={`button ${kind}`} onClick={() => void onClick?.()} {...rest}>
      {children}
    </button>
  )
}

export type Tone = 'ok' | 'warn' | 'bad' | 'idle' | 'info'

export function Badge({
  tone = 'idle',
  children,
}: {
  readonly tone?: Tone
  readonly children: ComponentChildren
}) {
  return <span class={`badge ${tone}`}>{children}</span>
}

/** A sentence that stands out. */
export function Notice({
  tone = 'info',
  children,
}: {
  readonly tone?: Tone
  readonly children: ComponentChildren
}) {
  return (
    <div class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {children}
    </div>
  )
}

/** What went wrong, in the words of the server, with the id under which its log has it. */
export function Failure({ error, retry }: { readonly error: Error; readonly retry?: () => void }) {
  const known = error instanceof ApiError ? error : null
  return (
    <Notice tone="bad">
      <p>
        {error.message} {known !== null && <code>{known.code}</code>}
      </p>
      {known !== null && known.details.length > 0 && (
        <ul>
          {known.details.map((detail) => (
            <li key={detail}>{detail}</li>
          ))}
        </ul>
      )}
      {known?.requestId && <p class="faint">Request {known.requestId}</p>}
      {retry !== undefined && <Button onClick={retry}>Try again</Button>}
    </Notice>
  )
}

export function Loading() {
  return (
    <p class="faint loading" aria-busy="true">
      Loading …
    </p>
  )
}

interface AsyncProps<T> {
  readonly of: Data<T>
  readonly children: (value: T) => ComponentChildren
}

/** Shows loaded data, that it is awaited, or why it is not there. An older answer stays while a newer one fails. */
export function Async<T>({ of, children }: AsyncProps<T>) {
  const { value, error, reload } = of
  if (value === undefined) {
    if (error !== undefined) return <Failure error={error} retry={reload} />
    return <Loading />
  }
  return (
    <>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {children(value)}
    </>
  )
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <div class="empty">{children}</div>
}

/** An instant as people say it; the exact one on hover. */
export function Time({ at }: { readonly at: string | null | undefined }) {
  if (at === null || at === undefined) return <span class="faint">–</span>
  return (
    <time dateTime={at} title={moment(at)}>
      {ago(at)}
    </time>
  )
}

/** Copies `text`, and says whether that went well. */
export function Copy({ text, label = 'Copy' }: { readonly text: string; readonly label?: string }) {
  const [said, setSaid] = useState<string>()
  const copy = async () => {
    setSaid((await copied(text)) ? 'Copied' : 'Not copied')
    setTimeout(() => setSaid(undefined), 1500)
  }
  return <Button onClick={copy}>{said ?? label}</Button>
}

/** Text to copy: a command, variables, an id. */
export function Snippet({ text }: { readonly text: string }) {
  return (
    <div class="snippet">
      <pre>{text}</pre>
      <Copy text={text} />
    </div>
  )
}

/** A secret that is on the screen now and will not be again. */
export function Secret({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <Notice tone="warn">
      <p>
        <strong>{name}</strong>. Copy it now; keep it where your application finds it and nobody else does.
      </p>
      <Snippet text={value} />
    </Notice>
  )
}

/** An identifier: short in tables, whole on hover and when copied. */
export function Id({ value }: { readonly value: string | null | undefined }) {
  if (!value) return <span class="faint">–</span>
  return (
    <code class="id" title={value}>
      {value.length > 20 ? `${value.slice(0, 8)}…${value.slice(-4)}` : value}
    </code>
  )
}

export function Json({ value }: { readonly value: unknown }) {
  return <pre class="json">{JSON.stringify(value, null, 2)}</pre>
}

/** Name and value pairs of one thing. Undefined values are left out. */
export function Facts({ of }: { readonly of: Readonly<Record<string, ComponentChildren>> }) {
  return (
    <dl class="facts">
      {Object.entries(of)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value === null || value === '' ? <span class="faint">–</span> : value}</dd>
          </div>
        ))}
    </dl>
  )
}
