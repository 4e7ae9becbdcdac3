/** What a user sends with a complaint goes in here, wherever one is: `/` leads to it. */
import { useEffect, useRef } from "preact/hooks";
import { go, route } from "./route.ts";

/** Whether what is typed there is text already. */
const takesText = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;

export function SearchField() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      if (event.key !== "/" || takesText(event.target)) return;
      event.preventDefault();
      field.current?.select();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  const { panel, chosen } = route.value;
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        go("search", { query: field.current?.value.trim() });
      }}
    >
      <input
        ref={field}
        type="search"
        aria-label="Search users and jobs"
        aria-keyshortcuts="/"
        placeholder="User, e-mail, job, request …  ( / )"
        maxLength={320}
        required
        defaultValue={panel === "search" ? chosen.query : undefined}
      />
    </form>
  );
}
