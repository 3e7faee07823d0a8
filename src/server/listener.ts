/**
 * One listening socket: a role's app behind a Node server with the role's limits
 * (storage-and-operations §16), and the end of it: connections that were open when
 * draining began are served to their end, newer ones only see the operator paths, so
 * that `/ready` can still say that we are leaving.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { clientHost } from '../platform/http/client-host.ts'
import { pathOf, withOneSlash } from '../platform/http/incoming.ts'
import type { HttpLimits, Role } from '../platform/role.ts'
import type { Certificate } from './certificate.ts'
import { answerEarly, answerUnasked, answerUnreadable, draining, hostMissing } from './early-answer.ts'
import { isLingering, lingerAfter } from './linger.ts'

export interface ListenerOptions {
  /** As it appears in messages: a role, or `console`. */
  readonly name: string
  readonly app: Pick<Hono, 'fetch'>
  readonly intercept?: Role['intercept']
  readonly limits: HttpLimits
  /** Paths may be those of another server, and are left as they were sent. */
  readonly forwards?: boolean
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  /** The variable that would change the port. */
  readonly portVariable: string
  readonly tls?: Certificate
}

export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
  /** With a host that a client on this machine can use. */
  readonly url: string
  /** For connections from now on. */
  useCertificate(certificate: Certificate): void
  /** From now on new work is refused; what runs goes on. */
  drain(): void
  /** Closes once the last request is answered, at the latest after `patienceMs`; answers how many requests were cut. */
  close(patienceMs: number): Promise<number>
}

/** The port cannot be had; the message names port, listener and variable. */
class PortUnavailable extends Error {
  override readonly name = 'PortUnavailable'
}

const operatorPaths: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

/** Opens the socket; rejects with `PortUnavailable`. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const handle = getRequestListener(options.app.fetch, {
    // Of a request that names none, as HTTP/1.0 may: probes of load balancers do.
    hostname: clientHost(options.host),
    errorHandler: answerUnasked,
  })
  const { intercept } = options
  const late = new WeakSet<Socket>()
  let leaving = false
  const inFlight = new Set<ServerResponse>()
  let idle: (() => void) | null = null

  const serve: RequestListener = (request, response) => {
    if (isLingering(request.socket)) return void request.socket.destroy()
    if (!options.forwards) request.url = withOneSlash(request.url ?? '/')
    lingerAfter(request, response)
    inFlight.add(response)
    response.once('close', () => {
      inFlight.delete(response)
      if (inFlight.size === 0) idle?.()
    })
    if (request.headers.host === undefined && request.httpVersion === '1.1')
      return answerEarly(request, response, hostMissing)
    if (leaving) {
      response.shouldKeepAlive = false
      if (late.has(request.socket) && !operatorPaths.has(pathOf(request.url ?? '/')))
        return answerEarly(request, response, draining)
    }
    if (intercept?.(request, response)) return
    void handle(request, response)
  }

  const server = createHttpServer(options, serve)
  if (options.limits.maxConnections) server.maxConnections = options.limits.maxConnections
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (leaving) late.add(socket)
  })
  server.on('clientError', answerUnreadable)
  // An expectation nobody knows is none (RFC 9110 §10.1.1).
  server.on('checkExpectation', serve)
  await listen(server, options)
  const { port } = server.address() as AddressInfo

  return {
    name: options.name,
    host: options.host,
    port,
    url: `${options.tls ? 'https' : 'http'}://${clientHost(options.host)}:${port}`,
    useCertificate(certificate) {
      if (server instanceof TlsServer) server.setSecureContext(secured(certificate))
    },
    drain() {
      leaving = true
      // Of answers that wait for one another, the last: the connection ends behind it.
      const lastOf = new Map([...inFlight].map((response) => [response.req.socket, response]))
      for (const response of lastOf.values()) response.shouldKeepAlive = false
      server.closeIdleConnections()
    },
    async close(patienceMs) {
      leaving = true
      let timer: NodeJS.Timeout | undefined
      if (inFlight.size > 0) {
        await Promise.race([
          new Promise<void>((resolve) => {
            idle = resolve
          }),
          new Promise<void>((resolve) => {
            timer = setTimeout(resolve, patienceMs)
          }),
        ])
        clearTimeout(timer)
      }
      const cut = inFlight.size
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      // What is left is either cut work or a connection that sent nothing.
      server.closeAllConnections()
      await closed
      return cut
    },
  }
}

/** Tries the port for a moment, so that a start fails before it has touched anything. */
export async function assertPortFree(
  options: Pick<ListenerOptions, 'host' | 'port' | 'name' | 'portVariable'>,
): Promise<void> {
  if (options.port === 0) return
  const probe = createNetServer()
  await listen(probe, options)
  await new Promise((resolve) => probe.close(resolve))
}

function createHttpServer(options: ListenerOptions, serve: RequestListener): Server {
  const { limits, tls } = options
  const shared = {
    maxHeaderSize: limits.headerBytes,
    // Judged here, where the answer can have a body.
    requireHostHeader: false,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: 1000,
  }
  return tls === undefined
    ? createServer(shared, serve)
    : createTlsServer({ ...shared, ...secured(tls) }, serve)
}

const secured = (certificate: Certificate) => ({ ...certificate, minVersion: 'TLSv1.2' as const })

function listen(
  server: NetServer,
  { name, host, port, portVariable }: Pick<ListenerOptions, 'host' | 'port' | 'name' | 'portVariable'>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const reasons: Readonly<Record<string, string>> = {
        EADDRINUSE: `port ${port} of ${name} is in use: stop what uses it or set ${portVariable}`,
        EACCES: `port ${port} of ${name} needs more rights than this process has: set ${portVariable}`,
        EADDRNOTAVAIL: `address ${host} of ${name} is not on this machine: set HOST`,
        ENOTFOUND: `address ${host} of ${name} cannot be resolved: set HOST`,
      }
      reject(
        new PortUnavailable(
          reasons[error.code ?? ''] ?? `${name} cannot listen on ${host}:${port} (${error.code})`,
        ),
      )
    }
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}
