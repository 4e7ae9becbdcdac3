/** A part of the page with a title, which shows what was loaded, that it is loading, that it is empty, or what went wrong. */
import { useId } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Loaded } from "./load.ts";
import { wordsOf } from "./words.ts";

interface PanelProps<T> {
  title: string;
  loaded: Loaded<T>;
  /** Shown instead of the content where there is nothing to show. */
  empty?: { when: (value: T) => boolean; say: string };
  /** Beside the title: filters, buttons. */
  controls?: ComponentChildren;
  children: (value: T) => ComponentChildren;
}

export function Panel<T>({ title, loaded, empty, controls, children }: PanelProps<T>) {
  const { value, error, isLoading, retry } = loaded;
  return (
    <Part title={title} controls={controls} isBusy={isLoading}>
      {error !== null && (
        <p role="alert" class="wrong">
          {wordsOf(error)} <button type="button" onClick={retry}>Try again</button>
        </p>
      )}
      {value !== undefined && (empty?.when(value) ? <p class="empty">{empty.say}</p> : children(value))}
      {value === undefined && error === null && <p class="loading">Loading …</p>}
    </Part>
  );
}

interface PartProps {
  title: string;
  controls?: ComponentChildren;
  isBusy?: boolean;
  children: ComponentChildren;
}

/** As a panel, of what another one has loaded. */
export function Part({ title, controls, isBusy = false, children }: PartProps) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id} aria-busy={isBusy}>
      <div class="title">
        <h2 id={id}>{title}</h2>
        {controls}
      </div>
      {children}
    </section>
  );
}
