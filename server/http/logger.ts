/** What the HTTP port needs of a logger; pino fits. Never handed keys, values or headers. */
export interface HttpLogger {
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}
