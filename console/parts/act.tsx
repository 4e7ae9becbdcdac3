/** A button for what needs no reason, since nothing of Kinora is changed by it. */
import { useSignal } from "@preact/signals";
import { announce } from "./announce.ts";
import { wordsOfChange } from "./words.ts";

/** `title` is what it does, in full; `run` gives what is announced then; `done` reads anew what it did, or may have. */
export function Act({ label, title, run, done }: {
  label: string;
  title: string;
  run: () => Promise<string>;
  done?: () => void;
}) {
  const isBusy = useSignal(false);
  const wrong = useSignal<string | null>(null);
  async function act() {
    isBusy.value = true;
    wrong.value = null;
    try {
      announce(await run());
    } catch (error) {
      wrong.value = wordsOfChange(error);
    }
    isBusy.value = false;
    done?.();
  }
  return (
    <>
      <button type="button" aria-label={title} disabled={isBusy} onClick={act}>{label}</button>
      <span role="alert" class="wrong">{wrong}</span>
    </>
  );
}
