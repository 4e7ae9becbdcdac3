/** Which project this console is for: `settings.json` beside the page, so that one build goes to any host. */

export interface Settings {
  /** Of the project, as supabase-js takes it. */
  readonly url: string;
  readonly publishableKey: string;
  /** What only a stack on the developer's own machine says. */
  readonly local?: LocalSettings;
}

export interface LocalSettings {
  /** The admin whom `deno task dev` has made. */
  readonly admin?: { readonly email: string; readonly password: string; readonly totpSecret: string };
}

export async function readSettings(): Promise<Settings> {
  const response = await fetch("settings.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`settings.json was answered with ${response.status}`);
  return await response.json();
}
