/**
 * From host name to addresses that may be dialled (gateway §12.1–§12.3). The check
 * before the request refuses when any address is unsafe; the lookup of the socket
 * asks again and keeps only safe ones, which closes the window between the two.
 */

import type { LookupAddress } from 'node:dns'
import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { LRUCache } from 'lru-cache'
import { classifyAddress, upstreamAllowed } from '../../../platform/egress/address.ts'
import { within } from '../../../platform/within.ts'

export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>

export interface AddressRules {
  /** Lower-cased; empty allows every host. */
  readonly allowlist: readonly string[]
  readonly blockPrivate: boolean
  /** Ports of this process's own listeners; upstreams there on this machine are refused unless allow-listed. */
  readonly ownPorts: () => readonly number[]
  readonly resolve?: Resolve
}

export interface AddressGuard {
  /** Whether every address of the host may be dialled; answers up to one second old. A failing resolution denies. */
  admits(hostname: string, port: number): boolean | Promise<boolean>
  /** The `lookup` of a socket to `port`: only safe addresses, an error when none is left. */
  pinnedLookup(port: number): LookupFunction
}

/** DNS answers at the check before the request may be this old; the dial always asks again. */
const answerLifeMs = 1000
const resolveTimeoutMs = 5000
const tookTooLong = (): Error => new Error('name resolution took too long')

const resolveBySystem: Resolve = (hostname) =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) =>
      error === null ? resolve(addresses) : reject(error),
    )
  })

export function createAddressGuard(rules: AddressRules): AddressGuard {
  const resolve = rules.resolve ?? resolveBySystem
  const listed = new Set(rules.allowlist)
  const verdicts = new LRUCache<string, boolean>({ max: 10_000, ttl: answerLifeMs })
  const pending = new Map<string, Promise<boolean>>()

  const safe = (address: string, hostname: string, port: number): boolean => {
    const isListed = listed.has(hostname)
    const addressClass = classifyAddress(address)
    if (!upstreamAllowed(addressClass, rules.blockPrivate && !isListed)) return false
    if (isListed || !rules.ownPorts().includes(port)) return true
    return addressClass !== 'loopback' && !isOwnAddress(address)
  }

  const judge = async (hostname: string, port: number): Promise<boolean> => {
    // A resolver that hangs must not hold the caller.
    const addresses = await within(resolve(hostname), resolveTimeoutMs, tookTooLong).catch(() => null)
    if (addresses === null) return false
    const verdict = addresses.length > 0 && addresses.every((one) => safe(one.address, hostname, port))
    verdicts.set(`${hostname}:${port}`, verdict)
    return verdict
  }

  return {
    admits(hostname, port) {
      if (listed.size > 0 && !listed.has(hostname)) return false
      if (isIP(hostname) !== 0) return safe(hostname, hostname, port)
      const key = `${hostname}:${port}`
      const known = verdicts.get(key)
      if (known !== undefined) return known
      const asking = pending.get(key) ?? judge(hostname, port).finally(() => pending.delete(key))
      pending.set(key, asking)
      return asking
    },
    pinnedLookup: (port) => (hostname, options, callback) => {
      resolve(hostname).then(
        (addresses) => {
          const usable = addresses.filter(
            (one) =>
              (options.family === undefined ||
                options.family === 0 ||
                familyOf(options.family) === one.family) &&
              safe(one.address, hostname.toLowerCase().replace(/\.$/, ''), port),
          )
          const first = usable[0]
          if (first === undefined) {
            const error: NodeJS.ErrnoException = new Error('no safe address')
            error.code = 'EUNSAFEADDRESS'
            callback(error, '')
          } else if (options.all === true) callback(null, [...usable])
          else callback(null, first.address, first.family)
        },
        (error: NodeJS.ErrnoException) => callback(error, ''),
      )
    },
  }
}

const familyOf = (family: number | 'IPv4' | 'IPv6'): number =>
  family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family

const isOwnAddress = (address: string): boolean =>
  Object.values(networkInterfaces()).some((one) => one?.some((own) => own.address === address))
