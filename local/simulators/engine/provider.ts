/**
 * A video provider on one machine: its API, the host of its files, generations that live in time, webhooks, and a file
 * that keeps them. What is a provider's own (routes, forms, signatures) is its `ProviderProtocol`.
 */
import {
  type ApiAnswer,
  type ApiCall,
  gatewayError,
  type HandledCall,
  startApi,
  withRetryAfter,
} from "./api.ts";
import { type SimulatorControl, takeRule } from "./control.ts";
import { deliveriesOf, doublingPauses, startDeliveries } from "./deliveries.ts";
import { beginJob, elapseJobs, type Phase, phaseOf } from "./jobs.ts";
import { startMediaServer } from "./media.ts";
import type { EngineRule, Job, ProviderProtocol, RunningProvider, Submission } from "./protocol.ts";
import type { ProviderRequest } from "./request-log.ts";
import { accountState } from "./rules.ts";
import { stateFile } from "./state-file.ts";

/** What every simulated provider may be told, beside its account. */
export interface ProviderOptions {
  /** Of the API; a free one without it. */
  readonly port?: number;
  readonly mediaPort?: number;
  /** Where generations, rules, keys and due deliveries live on between two starts. */
  readonly stateFile?: string;
  /** How long a generation waits, and how long it runs, where no rule says otherwise. */
  readonly queueMilliseconds?: number;
  readonly runMilliseconds?: number;
  /** Until the first repeat of a webhook; each further one waits twice as long. */
  readonly webhookRetryMilliseconds?: number;
}

/** Where a simulated provider is. */
export interface SimulatedProvider extends AsyncDisposable {
  /** Of the API. */
  readonly url: string;
  readonly port: number;
  readonly mediaUrl: string;
  readonly mediaPort: number;
  /** The host that results are fetched from, as the configuration names it. */
  readonly mediaHost: string;
}

/** A provider that runs, with the account that was made for it or that it was given. */
export type ProviderSimulator<RuleInput, Report, Account> = SimulatedProvider & Account & {
  readonly control: SimulatorControl<RuleInput, Report>;
};

/** Starts a provider, which goes on where an earlier one with the same state file was. */
export async function startProvider<Rule extends EngineRule, RuleInput, Report, Account extends object>(
  protocol: ProviderProtocol<Rule, RuleInput, Report, Account>,
  options: ProviderOptions & Partial<Account>,
): Promise<ProviderSimulator<RuleInput, Report, Account>> {
  const { forms, notFound, unauthorized, refusals, webhooks } = protocol;
  // Times that one can watch.
  const { queueMilliseconds = 1_000, runMilliseconds = 4_000 } = options;
  const file = stateFile(options.stateFile, forms.state);
  const state = file.load() ?? forms.state.parse({});
  const account = protocol.account.parse({ ...await protocol.newAccount(), ...state, ...options });
  const save = () => file.save({ ...state, ...account });
  save();
  const log: ProviderRequest[] = [];
  const access = { log, authorization: protocol.authorization(account) };

  const find = (requestId: string) => state.jobs.find((job) => job.requestId === requestId);
  const orderOf = ({ model, input }: Job<Rule>) => protocol.orderIn(model, input);

  function announceEnd({ requestId, webhookUrl: url, endsAt, rule }: Job<Rule>): void {
    if (url !== null && endsAt !== null) {
      state.deliveries.push(...deliveriesOf({ requestId, url, endsAt, rule }));
    }
  }

  const provider: RunningProvider<Rule, Account> = {
    account,
    jobs: state.jobs,
    get url() {
      return api.url;
    },
    get mediaUrl() {
      return media.url;
    },
    find,
    get says() {
      return state.rules.find(({ account }) => account !== undefined)?.account ?? accountState.parse({});
    },
    videoUrl: ({ requestId }) => media.videoUrl(requestId),
    videoSize: (job) => media.videoSize(orderOf(job)),
    cancel(job, { isForgotten, isTold = true }) {
      state.deliveries = state.deliveries.filter(({ requestId }) => requestId !== job.requestId);
      if (isForgotten) job.forgotten = true;
      else Object.assign(job, { cancelled: true, endsAt: Date.now() });
      if (!isForgotten && isTold) announceEnd(job);
    },
  };

  // Where a port is taken, what has started already stops again.
  await using starting = new AsyncDisposableStack();
  const media = starting.use(
    await startMediaServer({
      ...access,
      port: options.mediaPort ?? 0,
      find(requestId) {
        const job = find(requestId);
        // With a generation its files are gone.
        return job === undefined || job.forgotten ? undefined : { made: orderOf(job), job };
      },
      elsewhere: () => `${api.url}/_elsewhere`,
    }),
  );
  const deliveries = webhooks && starting.use(startDeliveries({
    all: () => state.deliveries,
    bodyOf(delivery) {
      const job = find(delivery.requestId);
      return job === undefined ? "" : JSON.stringify(webhooks.body(job, delivery, provider));
    },
    sign: webhooks.sign(account),
    policy: {
      timeoutMilliseconds: webhooks.policy.timeoutMilliseconds,
      pauses: doublingPauses({
        ...webhooks.policy,
        retryMilliseconds: options.webhookRetryMilliseconds ?? webhooks.policy.retryMilliseconds,
      }),
    },
    changed: save,
  }));
  const api = starting.use(
    await startApi({
      ...access,
      ...{ port: options.port, host: protocol.host, rule: forms.rule, report: forms.report },
      ...{ rules: state.rules, save, tell: () => ({ jobs: state.jobs, deliveries: state.deliveries }) },
      elapse(milliseconds) {
        elapseJobs(state.jobs, milliseconds);
        deliveries?.elapse(milliseconds);
      },
      async answer(call) {
        const { answer, requestId = null } = await answerTo(call);
        const headers = requestId === null ? {} : protocol.headersOf?.(requestId);
        return { requestId, answer: answer && { ...answer, headers: { ...headers, ...answer.headers } } };
      },
    }),
  );

  async function answerTo(call: ApiCall): Promise<HandledCall> {
    const route = protocol.route(call, provider);
    if ("answer" in route) return route;
    if ("submission" in route) return await take(route.submission, route.refusal ?? null, call.pause);
    const { requestId, job, tell } = route;
    const answer = job === undefined || job.forgotten ? notFound : answerAbout(job, tell);
    save();
    deliveries?.schedule();
    return { answer, requestId };
  }

  function answerAbout(job: Job<Rule>, tell: (job: Job<Rule>, phase: Phase) => ApiAnswer): ApiAnswer {
    if (job.pollFailuresLeft === 0) return tell(job, phaseOf(job, Date.now()));
    job.pollFailuresLeft -= 1;
    return { gateway: gatewayError(502), missing: notFound, unauthorized }[job.rule.pollFailure];
  }

  /** Takes a submission, or refuses it, as the rule that fits it has it; `invalid` is the answer to its input. */
  async function take(
    { model, prompt, input, webhookUrl }: Submission,
    invalid: ApiAnswer | null,
    pause: ApiCall["pause"],
  ): Promise<HandledCall> {
    const rule = takeRule(state.rules, (each) =>
      each.account === undefined &&
      (each.model === undefined || each.model === model) &&
      (each.prompt === undefined || prompt.includes(each.prompt))) ?? forms.rule.parse({});
    const delay = rule.submit === "slow" || rule.submit === "stalled" ? rule.submitMilliseconds : 0;
    const refusal = refusalBy(rule, input) ?? invalid;
    if (refusal !== null || rule.submit === "reset" || rule.submit === "stalled") {
      save();
      await pause(delay);
      return { answer: refusal };
    }
    const requestId = protocol.newRequestId();
    const times = { queueMilliseconds, runMilliseconds };
    const job = { ...beginJob({ requestId, model, input, webhookUrl }, rule, times), rule };
    state.jobs.push(job);
    announceEnd(job);
    const answer = acceptance(job);
    save();
    if (rule.webhook === "early") {
      const own = state.deliveries.filter((each) => each.requestId === requestId);
      await Promise.all(own.map((each) => deliveries?.send(each)));
    }
    deliveries?.schedule();
    await pause(delay);
    return { answer, requestId };
  }

  function refusalBy(rule: Rule, input: unknown): ApiAnswer | null {
    switch (rule.submit) {
      case "rate_limited":
        return withRetryAfter(refusals.rateLimited, rule.retryAfterSeconds);
      case "locked":
        return refusals.locked;
      case "error":
        return rule.ownBody ? refusals.error(rule.status, rule) : gatewayError(rule.status);
      case "refused":
        return refusals.refused(input);
      case "content_policy":
        return refusals.contentPolicy?.(input) ?? null;
      case "redirected":
        return { status: 307, body: null, headers: { location: `${media.url}/_elsewhere` } };
      default:
        return null;
    }
  }

  function acceptance(job: Job<Rule>): ApiAnswer | null {
    if (job.rule.submit === "answer_lost") return null;
    return job.rule.submit === "malformed_answer"
      ? protocol.malformedAnswer
      : protocol.accepted(job, provider);
  }

  const running = starting.move();
  return {
    ...account,
    ...{ url: api.url, port: api.port, control: api.control },
    ...{ mediaUrl: media.url, mediaPort: media.port, mediaHost: media.host },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
