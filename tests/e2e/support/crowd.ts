/** Many calls at once. */
import type { Answer } from "./answer.ts";

/** Makes as many calls at once; who hears that there was no connection for them in time asks again, alone. */
export async function crowd(count: number, call: () => Promise<Answer>): Promise<void> {
  const answers = await Promise.all(Array.from({ length: count }, call));
  for (let { status } of answers) {
    while (status === 503) ({ status } = await call());
  }
}
