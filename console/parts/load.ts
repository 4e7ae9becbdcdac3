/** What a panel asks for: once, again when what it depends on changes or somebody wants it, and never after it is gone. */
import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";

export interface Loaded<T> {
  /** The newest answer, also while the next one is awaited; undefined before the first. */
  readonly value: T | undefined;
  /** What the newest question ended with; null where it was answered, or is not yet. */
  readonly error: unknown;
  readonly isLoading: boolean;
  readonly reload: () => void;
  /** Asks again what was asked last, which failed. */
  readonly retry: () => void;
}

/** Asks by `load`, and anew when one of `dependencies` changes; every `interval` milliseconds where it is given. */
export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  dependencies: readonly unknown[] = [],
  interval?: number,
): Loaded<T> {
  const state = useSignal<Omit<Loaded<T>, "reload" | "retry">>({
    value: undefined,
    error: null,
    isLoading: true,
  });
  const running = useRef(new AbortController());
  const reload = useCallback(async () => {
    running.current.abort();
    const { signal } = running.current = new AbortController();
    state.value = { ...state.value, isLoading: true };
    try {
      const value = await load(signal);
      if (!signal.aborted) state.value = { value, error: null, isLoading: false };
    } catch (error) {
      if (!signal.aborted) state.value = { ...state.value, error, isLoading: false };
    }
  }, dependencies);
  useEffect(() => {
    state.value = { value: undefined, error: null, isLoading: true };
    void reload();
    // What nobody looks at is not asked for, and nothing goes from under a dialog that is open.
    const isUnseen = () => document.hidden || document.querySelector("dialog[open]") !== null;
    const timer = interval === undefined
      ? undefined
      : setInterval(() => isUnseen() || state.value.isLoading || void reload(), interval);
    return () => {
      clearInterval(timer);
      running.current.abort();
    };
  }, [reload]);
  return { ...state.value, reload, retry: reload };
}

export interface LoadedPages<Page> extends Loaded<Page[]> {
  /** Asks for the next page; absent where there is none. */
  readonly more?: () => void;
}

/**
 * As useLoaded, of a list's pages: the first one, and each further one when `more` is called. `load` asks for the page of
 * a cursor, which is absent for the first.
 */
export function usePages<Page extends { next_cursor: string | null }>(
  load: (cursor: { cursor?: string }, options: { signal?: AbortSignal }) => Promise<Page>,
  dependencies: readonly unknown[] = [],
): LoadedPages<Page> {
  const further = useSignal<{ pages: Page[]; error: unknown; isLoading: boolean }>({
    pages: [],
    error: null,
    isLoading: false,
  });
  const first = useLoaded((signal) => {
    further.value = { pages: [], error: null, isLoading: false };
    return load({}, { signal });
  }, dependencies);
  const value = first.value && [first.value, ...further.value.pages];
  const cursor = value?.at(-1)?.next_cursor ?? null;
  const more = async () => {
    if (cursor === null || further.value.isLoading) return;
    const { pages } = further.value;
    further.value = { pages, error: null, isLoading: true };
    try {
      const page = await load({ cursor }, {});
      // Else the list was begun anew meanwhile.
      if (further.value.pages === pages) {
        further.value = { pages: [...pages, page], error: null, isLoading: false };
      }
    } catch (error) {
      if (further.value.pages === pages) further.value = { pages, error, isLoading: false };
    }
  };
  return {
    value,
    error: first.error ?? further.value.error,
    isLoading: first.isLoading || further.value.isLoading,
    reload: first.reload,
    retry: first.error === null && further.value.error !== null ? more : first.reload,
    ...(cursor !== null && { more }),
  };
}
