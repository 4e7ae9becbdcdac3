/** A button that asks for a reason before it changes something: every change is written down with one. */
import { useSignal } from "@preact/signals";
import { KinoraError, newKey } from "@kinora/client/admin";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { announce } from "./announce.ts";
import { lookFirst, wordsOfChange } from "./words.ts";

export interface Given {
  readonly reason: string;
  /** What the fields of the dialog hold. */
  readonly form: FormData;
  /** For an Idempotency-Key: the same, also when it is opened again, until what became of the request is known. */
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
  /** Reads anew what it has changed, or may have. */
  changed: () => void;
}

/** The keys of what was sent and may have been done, by title: whoever goes to another panel and returns finds them. */
const open = new Map<string, string>();

/** Whether nothing of what was sent under the key was done, or will be. A try before this one may have been lost. */
const isRefused = (error: unknown) =>
  error instanceof KinoraError && error.action !== "same_key_later" && error.status !== 401 &&
  error.status !== 403;

export function Change({ label, title, children, run, changed }: ChangeProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const key = useRef("");
  /** Counts how often it was opened, each time with fields that are new; 0 while it is closed. */
  const opening = useSignal(0);
  const isBusy = useSignal(false);
  const wrong = useSignal<string | null>(null);
  const id = useId();

  function show() {
    key.current = open.get(title) ?? newKey();
    wrong.value = open.has(title) ? lookFirst : null;
    opening.value++;
  }
  // Opened with its fields in it, it takes the focus to the first of them.
  useLayoutEffect(() => {
    if (opening.value > 0 && !dialog.current?.open) dialog.current?.showModal();
  }, [opening.value]);
  // Told after it was closed; by then it may have been opened again.
  function onClose() {
    if (dialog.current?.open) return;
    // A browser that is asked twice does not ask whether it may.
    if (isBusy.value) return dialog.current?.showModal();
    opening.value = 0;
    // Not before: the row that it belongs to may be gone then, and with it what is said here.
    if (wrong.value !== null) changed();
  }
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    isBusy.value = true;
    wrong.value = null;
    open.set(title, key.current);
    try {
      const done = await run({ reason: String(form.get("reason")).trim(), form, key: key.current });
      open.delete(title);
      isBusy.value = false;
      dialog.current?.close();
      changed();
      announce(done);
    } catch (error) {
      isBusy.value = false;
      wrong.value = wordsOfChange(error);
      // Whoever has left hears it all the same.
      if (dialog.current === null) announce(`${title}: ${wrong.value}`);
      if (!isRefused(error)) return;
      open.delete(title);
      // What was sent under the key before may have been done: another one is for whoever has closed this, and looked.
      if ((error as KinoraError).code !== "ERR_4011") key.current = newKey();
    }
  }
  return (
    <>
      <button type="button" aria-label={title} onClick={show}>{label}</button>
      <dialog
        ref={dialog}
        aria-labelledby={id}
        onCancel={(event) => isBusy.value && event.preventDefault()}
        onClose={onClose}
      >
        {opening.value > 0 && (
          <form key={opening.value} onSubmit={submit}>
            <h2 id={id}>{title}</h2>
            {children}
            <label>
              Reason <textarea name="reason" minLength={3} maxLength={500} rows={2} required />
            </label>
            <p role="alert" class="wrong">{wrong}</p>
            <div class="actions">
              <button type="button" disabled={isBusy} onClick={() => dialog.current?.close()}>Cancel</button>
              <button type="submit" class="main" disabled={isBusy}>{label}</button>
            </div>
          </form>
        )}
      </dialog>
    </>
  );
}
