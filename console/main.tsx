/** The console: what an operator sees of Kinora, and changes in it. A static page that calls the API as its admin. */
import "./style.css";
import { render } from "preact";
import { start } from "./session/session.ts";
import { readSettings } from "./settings.ts";
import { Shell } from "./shell/shell.tsx";
import { applyTheme } from "./shell/theme.tsx";

applyTheme();
try {
  start(await readSettings());
  render(<Shell />, document.body);
} catch (error) {
  // Nobody has signed in yet: whoever sees it has just put the page there.
  render(<p role="alert" class="wrong">The console does not start. {String(error)}</p>, document.body);
}
