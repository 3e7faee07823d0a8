const loneSurrogate = /\p{Surrogate}/gu

/** Text as Postgres can keep it: without U+0000, lone surrogates replaced. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '').replace(loneSurrogate, '\ufffd')
}

export function storableOrNull(text: string | null): string | null {
  return text === null ? null : storableText(text)
}
