/** A button for what needs no reason, since nothing of Kinora is changed by it. */
import { useSignal } from "@preact/signals";
import { announce } from "./announce.ts";
import { wordsOf } from "./words.ts";

/** `title` is what it does, in full; `run` gives what is announced then. */
export function Act({ label, title, run }: { label: string; title: string; run: () => Promise<string> }) {
  const isBusy = useSignal(false);
  const wrong = useSignal<string | null>(null);
  async function act() {
    isBusy.value = true;
    wrong.value = null;
    try {
      announce(await run());
    } catch (error) {
      wrong.value = wordsOf(error);
    }
    isBusy.value = false;
  }
  return (
    <>
      <button type="button" aria-label={title} disabled={isBusy} onClick={act}>{label}</button>
      <span role="alert" class="wrong">{wrong}</span>
    </>
  );
}
