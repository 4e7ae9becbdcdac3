/** A button that asks for a reason before it changes something: every change is written down with one. */
import { useSignal } from "@preact/signals";
import { KinoraError, newKey } from "@kinora/client/admin";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { announce } from "./announce.ts";
import { wordsOf } from "./words.ts";

export interface Given {
  readonly reason: string;
  /** What the fields of the dialog hold. */
  readonly form: FormData;
  /** For an Idempotency-Key: the same until what became of the request is known. */
  readonly key: string;
}

interface ChangeProps {
  /** On the button, and on the one that does it. */
  label: string;
  /** What is changed, in full: `Change the limit reads`. */
  title: string;
  /** Fields beside the reason, and what one should know before. */
  children?: ComponentChildren;
  /** Makes the change. Gives what is announced then. */
  run: (given: Given) => Promise<string>;
}

export function Change({ label, title, children, run }: ChangeProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const key = useRef("");
  /** Counts how often it was opened, each time with fields that are new; 0 while it is closed. */
  const opening = useSignal(0);
  const isBusy = useSignal(false);
  const wrong = useSignal<string | null>(null);
  const id = useId();

  function open() {
    key.current = newKey();
    wrong.value = null;
    opening.value++;
  }
  // Opened with its fields in it, it takes the focus to the first of them.
  useLayoutEffect(() => {
    if (opening.value > 0 && !dialog.current?.open) dialog.current?.showModal();
  }, [opening.value]);
  // Told after it was closed; by then it may have been opened again.
  function onClose() {
    if (!dialog.current?.open) opening.value = 0;
  }
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    isBusy.value = true;
    wrong.value = null;
    try {
      const done = await run({ reason: String(form.get("reason")).trim(), form, key: key.current });
      dialog.current?.close();
      announce(done);
    } catch (error) {
      wrong.value = wordsOf(error);
      // Without an answer it may have been done: only the same key does not do it again.
      if (!(error instanceof KinoraError) || error.action !== "same_key_later") key.current = newKey();
    }
    isBusy.value = false;
  }
  return (
    <>
      <button type="button" aria-label={title} onClick={open}>{label}</button>
      <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
        {opening.value > 0 && (
          <form key={opening.value} onSubmit={submit}>
            <h2 id={id}>{title}</h2>
            {children}
            <label>
              Reason <textarea name="reason" minLength={3} maxLength={500} rows={2} required />
            </label>
            <p role="alert" class="wrong">{wrong}</p>
            <div class="actions">
              <button type="button" onClick={() => dialog.current?.close()}>Cancel</button>
              <button type="submit" class="main" disabled={isBusy}>{label}</button>
            </div>
          </form>
        )}
      </dialog>
    </>
  );
}
