import { Hono } from 'hono'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { CaracalError } from '../../../../src/platform/errors.ts'
import { answerOf } from '../../../../src/roles/control/console/forward.ts'

afterEach(() => vi.useRealTimers())

function relaying(send: (signal: AbortSignal) => Promise<Response>): Hono {
  const app = new Hono()
  app.get('/', (c) => {
    c.header('x-frame-options', 'DENY')
    return answerOf(c, send)
  })
  app.onError((error, c) => c.text(error instanceof CaracalError ? error.code : 'other', 500))
  return app
}

describe('an answer that is sent on', () => {
  it('begins while it is still being written, and lasts longer than an answer may take to begin', async () => {
    vi.useFakeTimers()
    let stream: ReadableStreamDefaultController<Uint8Array> | undefined
    let ended = false
    const events = new ReadableStream<Uint8Array>({
      start(controller) {
        stream = controller
      },
    })
    const app = relaying(async (signal) => {
      signal.addEventListener('abort', () => {
        ended = true
      })
      return new Response(events, { headers: { 'content-type': 'text/event-stream' } })
    })
    const response = await app.request('/')
    const reader = response.body?.getReader()
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      stream?.enqueue(new TextEncoder().encode(text))
      expect(new TextDecoder().decode((await reader?.read())?.value)).toBe(text)
      await vi.advanceTimersByTimeAsync(60_000)
    }
    expect(ended).toBe(false)
  })

  it('that does not begin in time is refused, and its work is told', async () => {
    vi.useFakeTimers()
    let told = false
    const app = relaying(
      (signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            told = true
          })
        }),
    )
    const waiting = app.request('/')
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await (await waiting).text()).toBe('upstream_timeout')
    expect(told).toBe(true)
  })

  it('keeps its headers but no cookie and nothing of its own connection', async () => {
    const headers = {
      'content-type': 'text/csv',
      'content-disposition': 'attachment',
      'set-cookie': 'a=b',
      'content-encoding': 'gzip',
      'transfer-encoding': 'chunked',
    }
    const response = await relaying(async () => new Response('a,b', { status: 206, headers })).request('/')
    expect(response.status).toBe(206)
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'text/csv',
      'content-disposition': 'attachment',
      'x-frame-options': 'DENY',
    })
  })
})
