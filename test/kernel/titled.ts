/** The title of a suite that cannot run everywhere: with the reason when it is skipped, so that the skip shows. */
export const titled = (name: string, missing: string | undefined): string =>
  missing === undefined ? name : `${name} (skipped: ${missing})`;
