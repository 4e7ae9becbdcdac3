/** The page around the panels: who is signed in, where one can go, what was just done. */
import { effect } from "@preact/signals";
import { panels } from "../panels.ts";
import { announcement } from "../parts/announce.ts";
import { session, signOut } from "../session/session.ts";
import { SignIn } from "../session/sign-in.tsx";
import { href, route } from "./route.ts";
import { SearchField } from "./search-field.tsx";
import { ThemeChoice } from "./theme.tsx";

/** The panel that the address names; the first where it names none. */
function chosenPanel() {
  return panels.find(({ name }) => name === route.value.panel) ?? panels[0];
}

effect(() => {
  const panel = session.value.at === "admin" ? chosenPanel() : undefined;
  document.title = panel === undefined ? "Kinora" : `${panel.title} – Kinora`;
});

function Navigation() {
  const now = chosenPanel();
  return (
    <nav aria-label="Panels">
      <ul>
        {panels.map(({ name, title }) => (
          <li key={name}>
            <a href={href(name)} aria-current={name === now?.name ? "page" : undefined}>{title}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export function Shell() {
  const now = session.value;
  if (now.at === "start") return <main aria-busy="true" />;
  if (now.at !== "admin") return <SignIn />;
  const panel = chosenPanel();
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          // The address is the route's.
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header>
        <span class="name">Kinora</span>
        <SearchField />
        <ThemeChoice />
        <span class="who">{now.email}</span>
        <button type="button" onClick={signOut}>Sign out</button>
      </header>
      <Navigation />
      <main id="content" tabIndex={-1}>
        {panel && (
          <>
            <h1>{panel.title}</h1>
            <panel.View key={panel.name} />
          </>
        )}
      </main>
      <div role="status" class="announcement">{announcement}</div>
    </>
  );
}
