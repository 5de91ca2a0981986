/**
 * A copy of an object with other values for some properties. Unlike a spread it copies getters without asking them: what is
 * expensive stays unmade until somebody wants it.
 */
export const derive = <T extends object, U extends object>(from: T, over: U): Omit<T, keyof U> & U =>
  Object.defineProperties(
    {},
    { ...Object.getOwnPropertyDescriptors(from), ...Object.getOwnPropertyDescriptors(over) },
  ) as Omit<T, keyof U> & U;
