/** What a simulator remembers between two starts: a JSON file that is whole whenever the process dies. */
import * as z from "zod";

export interface StateFile<State> {
  /** What the file holds, or null where there is none yet. Throws where it holds something else. */
  load(): State | null;
  save(state: State): void;
}

/** Without a path, nothing is kept. */
export function stateFile<Schema extends z.ZodType>(
  path: string | undefined,
  schema: Schema,
): StateFile<z.output<Schema>> {
  if (path === undefined) return { load: () => null, save: () => {} };
  return {
    load() {
      let text: string;
      try {
        text = Deno.readTextFileSync(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
      const parsed = schema.safeParse(JSON.parse(text));
      if (parsed.success) return parsed.data;
      const why = z.prettifyError(parsed.error);
      throw new Error(`${path} is no state of this simulator; remove it to start anew:\n${why}`);
    },
    save(state) {
      // Written beside it and renamed, so that a reader finds the old file or the new one. It holds a signing key.
      const draft = `${path}.new`;
      Deno.writeTextFileSync(draft, JSON.stringify(state), { mode: 0o600 });
      Deno.renameSync(draft, path);
    },
  };
}
