/** Asks the server whether a policy document is valid, without storing it. */
import { ApiError, api } from '../../api.ts'

export interface Checked {
  readonly valid: boolean
  /** What is wrong, or what a valid document should not have. */
  readonly remarks: readonly string[]
  /** Which of the six data documents it defines. */
  readonly rules: readonly string[]
  /** Where the fault is; 1 is the first. */
  readonly line: number | null
  readonly column: number | null
}

interface Validation {
  readonly warnings: readonly string[]
  readonly preview: { readonly rules: readonly string[] } | null
}

/** Throws whatever is not a judgement of the document. */
export async function checkDocument(content: string): Promise<Checked> {
  if (content.trim() === '')
    return { valid: false, remarks: ['The document is empty.'], rules: [], line: null, column: null }
  try {
    const { warnings, preview } = await api.post<Validation>('/v1/policies/validate', { content })
    return { valid: true, remarks: warnings, rules: preview?.rules ?? [], line: null, column: null }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'invalid_rego') return faultOf(error)
    throw error
  }
}

/** A syntax error carries its place in the code: `data_document_unsupported_syntax:<line>:<column>`. */
function faultOf({ message, details }: ApiError): Checked {
  const place = /:(\d+):(\d+)$/.exec(message)
  return {
    valid: false,
    remarks: details.length > 0 ? details : [message],
    rules: [],
    line: place === null ? null : Number(place[1]),
    column: place === null ? null : Number(place[2]),
  }
}
