/** What stands before the console: the password, the second factor, and why somebody gets no further. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { goOn, proveSecondFactor, type Session, session, settings, signIn, signOut } from "./session.ts";
import { totpCode } from "./totp.ts";

/** One form that is sent once at a time, with what went wrong below it. */
function Form({ title, why, action, submit, children }: {
  title: string;
  why?: string | undefined;
  action: string;
  submit: (form: FormData) => Promise<string | null>;
  children: ComponentChildren;
}) {
  const wrong = useSignal<string | null>(why ?? null);
  const isBusy = useSignal(false);
  async function send(event: SubmitEvent) {
    event.preventDefault();
    isBusy.value = true;
    wrong.value = null;
    wrong.value = await submit(new FormData(event.currentTarget as HTMLFormElement));
    isBusy.value = false;
  }
  return (
    <form class="gate" onSubmit={send}>
      <h1>{title}</h1>
      {children}
      <p role="alert" class="wrong">{wrong}</p>
      <button type="submit" class="main" disabled={isBusy}>{action}</button>
    </form>
  );
}

/** Fills in a field as typing would, for what a local stack knows anyway. */
function fill(name: string, value: string): void {
  const field = document.querySelector<HTMLInputElement>(`.gate [name=${name}]`);
  if (field !== null) field.value = value;
}

function Password({ why }: { why?: string | undefined }) {
  const admin = settings().local?.admin;
  return (
    <Form
      title="Kinora"
      why={why}
      action="Sign in"
      submit={(form) => signIn(String(form.get("email")), String(form.get("password")))}
    >
      <label>
        E-mail <input name="email" type="email" autocomplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autocomplete="current-password" required />
      </label>
      {admin && (
        <button
          type="button"
          onClick={() => {
            fill("email", admin.email);
            fill("password", admin.password);
          }}
        >
          Fill in the local admin
        </button>
      )}
    </Form>
  );
}

function SecondFactor({ factors, email }: Extract<Session, { at: "second-factor" }>) {
  const admin = settings().local?.admin;
  return (
    <Form
      title="Second factor"
      action="Go on"
      submit={(form) =>
        proveSecondFactor(String(form.get("factor")), String(form.get("code")).replaceAll(" ", ""))}
    >
      <p>{email}</p>
      {factors.length === 1 ? <input type="hidden" name="factor" value={factors[0]?.id} /> : (
        <label>
          Authenticator app
          <select name="factor">
            {factors.map(({ id, friendly_name }, index) => (
              <option key={id} value={id}>{friendly_name || `The app ${index + 1}`}</option>
            ))}
          </select>
        </label>
      )}
      <label>
        The code of your authenticator app
        <input
          name="code"
          inputMode="numeric"
          autocomplete="one-time-code"
          pattern="[0-9 ]{6,7}"
          maxLength={7}
          required
        />
      </label>
      {admin?.email === email && (
        <button
          type="button"
          onClick={async () => fill("code", await totpCode(admin.totpSecret))}
        >
          Fill in the code
        </button>
      )}
      <button type="button" onClick={signOut}>Sign out</button>
    </Form>
  );
}

const refusals = {
  "no second factor": "Your account has no second factor. Enrol one, then sign in again.",
  "no admin": "Your account is no admin's. Whoever operates Kinora can make you one.",
  "banned": "Your account is banned.",
};

function Refused({ email, why }: Extract<Session, { at: "refused" }>) {
  return (
    <div class="gate">
      <h1>No entry</h1>
      <p>{email}</p>
      <p role="alert">{refusals[why]}</p>
      <button type="button" class="main" onClick={signOut}>Sign out</button>
    </div>
  );
}

function Unreachable({ why }: { why: string }) {
  return (
    <div class="gate">
      <h1>Not now</h1>
      <p role="alert">{why} Your session is kept.</p>
      <button type="button" class="main" onClick={goOn}>Try again</button>
    </div>
  );
}

/** What whoever is no admin sees, and all that they see. */
export function SignIn() {
  const now = session.value;
  return (
    <main>
      {now.at === "sign-in" && <Password key={now.why} why={now.why} />}
      {now.at === "second-factor" && <SecondFactor {...now} />}
      {now.at === "refused" && <Refused {...now} />}
      {now.at === "unreachable" && <Unreachable why={now.why} />}
    </main>
  );
}
