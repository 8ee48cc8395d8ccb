export function decodeWebp(){throw new Error("todo")}
export const webpSize = () => null;
