/** Light, dark, or as the system has it. */
import { signal } from "@preact/signals";

const themes = ["auto", "light", "dark"] as const;
type Theme = (typeof themes)[number];

const item = "kinora.console.theme";
const stored = localStorage.getItem(item);
export const theme = signal<Theme>(themes.find((name) => name === stored) ?? "auto");

/** Shows what is chosen; style.css has the colours of both. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}

/** Calls `changed` whenever the colours are others; ends with what it gives. */
export function onColours(changed: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", changed);
  // Once the page has them, which is after they were chosen.
  const chosen = new MutationObserver(changed);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    system.removeEventListener("change", changed);
    chosen.disconnect();
  };
}

export function ThemeChoice() {
  return (
    <label>
      Theme{" "}
      <select
        value={theme.value}
        onChange={({ currentTarget }) => {
          localStorage.setItem(item, currentTarget.value);
          theme.value = currentTarget.value as Theme;
          applyTheme();
        }}
      >
        {themes.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}
