/** A guest in a simulated phone: what an app does with Kinora, tried by whoever has no app. */
import { useSignal } from "@preact/signals";
import type { Model, Product, WatchedJob } from "@kinora/client";
import { useEffect, useMemo } from "preact/hooks";
import { announce } from "../parts/announce.ts";
import { wordsOf } from "../parts/words.ts";
import { settings } from "../session/session.ts";
import { newPhone, type Phone } from "./try/phone.ts";
import { type Language, languages, words } from "./try/words.ts";

export function Try() {
  return settings().local === undefined
    ? (
      <p>
        A phone can only be simulated with Apple's services, which a local stack plays. Run{" "}
        <code>deno task dev</code>, and open its console.
      </p>
    )
    : <SimulatedPhone />;
}

/** What the guest sees once the device was checked. */
interface Shown {
  models: readonly Model[];
  products: readonly Product[];
  appAccountToken: string;
}

/** Of a video with the model's own settings, which is what is made here; in credits. */
const priceOf = ({ pricing, options }: Model): number =>
  pricing.credits * (pricing.type === "per_second" ? options.duration_seconds.default : 1);

function SimulatedPhone() {
  const phone = useMemo(newPhone, []);
  const language = useSignal<Language>("en");
  const credits = useSignal(0);
  const shown = useSignal<Shown | null>(null);
  const job = useSignal<WatchedJob | null>(null);
  const wrong = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const ending = useMemo(() => new AbortController(), []);
  useEffect(() => () => ending.abort(), []);
  const say = words[language.value];
  const options = { language: language.value, signal: ending.signal };

  /** One thing at a time; what goes wrong is said in the guest's language. */
  async function attempt(work: () => Promise<void>): Promise<void> {
    isBusy.value = true;
    wrong.value = null;
    try {
      await work();
    } catch (error) {
      if (!ending.signal.aborted) wrong.value = wordsOf(error);
    }
    isBusy.value = false;
  }
  async function load({ kinora }: Phone, appAccountToken: string): Promise<void> {
    const [models, products] = await Promise.all([
      kinora.models(options),
      kinora.purchases.products(options),
    ]);
    shown.value = {
      models: models.filter(({ category }) => category === "text_to_video"),
      products,
      appAccountToken,
    };
  }
  useEffect(() => {
    const { value } = shown;
    if (value !== null) void attempt(() => load(phone, value.appAccountToken));
  }, [language.value]);

  const start = () =>
    attempt(async () => {
      const { credits_remaining, app_account_token } = await phone.start(options);
      await load(phone, app_account_token);
      credits.value = credits_remaining;
    });
  const make = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    return attempt(async () => {
      job.value = null;
      const { job_id, credits_remaining } = await phone.kinora.generate({
        model_id: String(form.get("model")),
        prompt: String(form.get("prompt")),
      }, options);
      credits.value = credits_remaining;
      for await (const now of phone.kinora.watch(job_id, options)) job.value = now;
      credits.value = (await phone.kinora.credits(options)).credits_remaining;
    });
  };
  const buy = (product: Product, appAccountToken: string) =>
    attempt(async () => {
      const signed = await phone.buy(product, appAccountToken);
      const purchase = await phone.kinora.purchases.present(
        { signed, finish: () => Promise.resolve() },
        options,
      );
      if (purchase === null) return;
      credits.value = purchase.credits_remaining;
      announce(say.bought(purchase.credits_added));
    });

  return (
    <section class="phone panel" lang={language.value} aria-label="Simulated phone" aria-busy={isBusy}>
      <label>
        Language{" "}
        <select
          value={language.value}
          onChange={({ currentTarget }) => language.value = currentTarget.value as Language}
        >
          {Object.entries(languages).map(([code, name]) => (
            <option key={code} value={code} lang={code}>{name}</option>
          ))}
        </select>
      </label>
      <p role="alert" class="wrong">{wrong}</p>
      {shown.value === null
        ? <button type="button" class="main" disabled={isBusy} onClick={start}>{say.start}</button>
        : (
          <>
            <p class="credits">{say.credits(credits.value)}</p>
            <form onSubmit={make}>
              <label>
                {say.model}
                <select name="model">
                  {shown.value.models.map((model) => (
                    <option key={model.id} value={model.id} title={model.description}>
                      {model.name} ({say.credits(priceOf(model))})
                    </option>
                  ))}
                </select>
              </label>
              <label>
                {say.prompt} <textarea name="prompt" rows={3} maxLength={2000} required />
              </label>
              <button type="submit" class="main" disabled={isBusy}>{say.make}</button>
            </form>
            {job.value && <Progress job={job.value} language={language.value} />}
            <ul class="products">
              {shown.value.products.map((product) => (
                <li key={product.product_id}>
                  <button
                    type="button"
                    disabled={isBusy}
                    onClick={() => shown.value && buy(product, shown.value.appAccountToken)}
                  >
                    {say.buy(product.name)}
                  </button>{" "}
                  {product.description}
                </li>
              ))}
            </ul>
          </>
        )}
    </section>
  );
}

function Progress({ job, language }: { job: WatchedJob; language: Language }) {
  const say = words[language];
  return (
    <div role="group" aria-label={say.progress}>
      <p role="status">{job.error?.message ?? say.stages[job.progress.stage]}</p>
      {job.status !== "failed" && job.video_url === null && (
        <progress
          aria-label={say.progress}
          max={100}
          {...(job.progress.percent !== null && { value: job.progress.percent })}
        />
      )}
      {job.video_url !== null && (
        <video controls muted autoPlay playsInline aria-label={say.video} src={job.video_url} />
      )}
    </div>
  );
}
