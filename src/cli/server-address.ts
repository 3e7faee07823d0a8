/** Addresses of servers as variables give them. */
import type { Environment } from '../config/load.ts'

/** The URL in a variable, or the fallback; without the slashes at its end. Throws a sentence that names the variable. */
export function serverAddress(env: Environment, variable: string, fallback: string): string {
  const text = (env[variable] || fallback).replace(/\/+$/, '')
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text))
    throw new Error(`${variable} must be a URL that begins with http:// or https://`)
  return text
}
