/** The addresses of the services, and what production asks of them (sdk-cli-console §1.1, §3.2). */
import { warn } from '../warn.ts'
import type { Environment } from './directory.ts'

export interface ServiceUrls {
  readonly stsUrl: string
  readonly coordinatorUrl: string
  readonly gatewayUrl: string
}

export function isProduction(env: Environment): boolean {
  return (env.CARACAL_ENV || env.NODE_ENV) === 'production'
}

/** Given ones first, then the environment, then the defaults of a development machine. */
export function serviceUrls(env: Environment, given: Partial<ServiceUrls> = {}): ServiceUrls {
  const production = isProduction(env)
  const problems: string[] = []
  const pick = (variable: string, fallback: string, ...values: readonly (string | undefined)[]): string => {
    const found = values.find((value) => value !== undefined && value !== '')
    if (found === undefined && production) problems.push(`${variable} is required in production`)
    const url = found ?? fallback
    const problem = urlProblem(url, variable, env, production)
    if (problem !== null) problems.push(problem)
    return url
  }
  const urls = {
    stsUrl: pick(
      'CARACAL_STS_URL',
      'http://localhost:8080',
      given.stsUrl,
      env.CARACAL_STS_URL,
      env.CARACAL_ZONE_URL,
    ),
    coordinatorUrl: pick(
      'CARACAL_COORDINATOR_URL',
      'http://localhost:4000',
      given.coordinatorUrl,
      env.CARACAL_COORDINATOR_URL,
    ),
    gatewayUrl: pick(
      'CARACAL_GATEWAY_URL',
      'http://localhost:8081',
      given.gatewayUrl,
      env.CARACAL_GATEWAY_URL,
    ),
  }
  if (problems.length > 0) throw new Error(problems.join('; '))
  return urls
}

let warned = false

function urlProblem(text: string, variable: string, env: Environment, production: boolean): string | null {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return `${variable} is not a URL`
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `${variable} is not an http(s) URL`
  if (!production || isSecureEnough(url)) return null
  if (env.CARACAL_ALLOW_INSECURE_CONFIG_URLS !== 'true')
    return `${variable} must be https in production (CARACAL_ALLOW_INSECURE_CONFIG_URLS=true allows it)`
  if (!warned) warn('service URLs without https are allowed by CARACAL_ALLOW_INSECURE_CONFIG_URLS')
  warned = true
  return null
}

/** https, or http that does not leave this machine. */
export function isSecureEnough(url: URL): boolean {
  if (url.protocol === 'https:') return true
  const { hostname } = url
  return (
    url.protocol === 'http:' &&
    (hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname))
  )
}
