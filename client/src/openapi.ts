export interface paths {
    "/admin-adjust-credits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds credits to a user's or takes some away, never below zero
         * @description `amount` is added, or taken where it is negative; more than the user has is `ERR_4001`.
         *
         *     What an admin gives within any 24 hours, refunds and positive adjustments together, is limited to 10,000 credits: `ERR_4004` with the policy `admin_credits`, and when the amount fits. Nobody credits their own account: `ERR_4006`. A closed account is `ERR_4009` with the status `closed`.
         */
        post: operations["postAdminAdjustCredits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What waits for the operator, page by page, by which rules, and what was away
         * @description Newest first; `status` names those that are `open` or `resolved`. `metric`, `value` and `threshold` are null of what was met and not measured. An alert is as bad (`level`) as it has been since it began. `rules` are all of them: `acting_on` is what one has lowered or switched off now. `incidents` are those that last, and the newest 20; `ended_at` is null while one lasts.
         */
        get: operations["getAdminAlerts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Acknowledges an alert, or changes a rule
         * @description With `alert_id` and `acknowledged`: nothing more is told of the alert before it is over. With `rule`: what else is named of the rule is changed, and counts from the next minute on; what it did by another action is undone. `throttle` leaves `throttle_percent` of the limits of `policies`, and `shutdown` switches `flags` off, from the level `acts_at` on, until the alert is over, or, with `is_pinned`, until that is false again. What a stranger can cause must not switch off what others use: docs/operations/alerts.md says what each rule invites. What changes nothing is not written down.
         */
        patch: operations["patchAdminAlerts"];
        trace?: never;
    };
    "/admin-errors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What went wrong, newest first, page by page
         * @description The error log: ERR_5xxx and ERR_6xxx of requests, of the work after them and of the tick, for 30 days, the newest minute first. Of a minute, code and endpoint up to five rows are kept; `count` says how many errors a row stands for. `code`, `endpoint` (or `tick`), `status` (of the answers with such codes) and `request_id` leave out the others. How jobs failed stands in the jobs.
         */
        get: operations["getAdminErrors"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-flags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Every feature flag, with its variants and rules
         * @description All of them, by key. What a flag may say is told in [flags](flags.md). `deno task flags` makes them, from flagd's JSON.
         */
        get: operations["getAdminFlags"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Turns a feature flag on or off, or changes whom it is for
         * @description What is not named stays as it is; `rules` are all of them anew, in their order. Whoever asks from then on is answered by it, procedures in the same moment. What changes nothing is not written down; else `ops.admin_actions` has what was before and after. A flag that is not there is ERR_4007.
         */
        patch: operations["patchAdminFlags"];
        trace?: never;
    };
    "/admin-jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The jobs, newest first, page by page; or all that there is of one
         * @description All filters that are given must fit; `provider` is where a job is, or was last. With a filter a page looks through 10,000 jobs at most: it may be shorter than `limit`, or empty, while `next_cursor` still goes on. `pending` and `processing` always find every job that runs. With `job_id`, and nothing else, `jobs` is empty and `story` has all that there is of that one: what moved its credits, each attempt at a provider and what that reported, its tasks, its files with URLs that are good for 10 minutes, what went wrong in the request that made it, and what admins did about it; of each the newest 100. No answer has the prompt, nor a text of `settings`.
         */
        get: operations["getAdminJobs"];
        put?: never;
        /**
         * Reads a job's prompt, which is written down
         * @description What a user wrote is private: each reading is a row of `ops.admin_actions` (`read_prompt`) with its reason, which the user's export shows, without who it was. `prompt` is null once it is erased, which is 30 days after the user deleted the job.
         */
        post: operations["postAdminJobs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-limits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The rate limits, and what alerts leave of them
         * @description By name. `max_hits` is what the operator admits in any `window_seconds`, `admits` what is admitted now: an alert may leave `throttle_percent` of it. `counts` says of what: requests, credits or grants.
         */
        get: operations["getAdminLimits"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Changes a rate limit
         * @description From the next request on. What is left out stays as it is; what changes nothing is not written down. What counts `hits` admits 300 at most. `ERR_4006` for `admin` and `admin_credits`, which bound admins themselves: the owner of the database alone changes those. Answers the limit as it is then.
         */
        patch: operations["patchAdminLimits"];
        trace?: never;
    };
    "/admin-models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Every model, offered or not, and who makes its videos
         * @description In the operator's order. `providers` are asked in their order; `cost_cents` is what one takes of us for a video, or for a second of it, as `pricing.type` says.
         */
        get: operations["getAdminModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Offers a model, or takes it out of the catalogue
         * @description New videos see it at once, and the catalogue of `models` within the minute that it may be remembered. Videos that were accepted go on. Answers the model as it is then; what changes nothing is not written down.
         */
        patch: operations["patchAdminModels"];
        trace?: never;
    };
    "/admin-products": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is sold, and the purchases that wait for a product
         * @description All products in the operator's order, also what is taken off. `waiting` are purchases that are paid and not credited, since no product has their id and kind: 50 at most, the oldest of each product first. `kind` is Apple's word; nothing credits `other`.
         */
        get: operations["getAdminProducts"];
        put?: never;
        /**
         * Adds a product, and has credited what waits for it
         * @description As App Store Connect has it; `name` and `description` are what the app shows. `products` shows it within a minute, and what waits for it is credited within seconds. What is left out: no `trial_credits`, available, not featured, `position` 0. `ERR_4009` (`exists`) for an id that is there, as in a second call.
         */
        post: operations["postAdminProducts"];
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Changes a product, or takes it off
         * @description What is left out stays as it is, and what was credited does, too. `products` shows it within a minute. What is not available is not shown, and whoever has paid for it gets it all the same. Another `kind` credits what waits for that. What changes nothing is not written down. Answers the product as it is then.
         */
        patch: operations["patchAdminProducts"];
        trace?: never;
    };
    "/admin-queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the queue has of each kind of task, and its dead letters, newest first, page by page
         * @description `tasks` are the dead letters, the newest first: tasks that have used all their tries, with what went wrong last. `kind` names those of one kind. `kinds` are all of them with what the queue has of each: what is `due` and for how long the oldest has been, what a worker has (`running`), and how many are `dead`.
         */
        get: operations["getAdminQueue"];
        put?: never;
        /**
         * Has a dead letter tried again
         * @description The task has all its tries again, and the first at once. `ERR_4009` says with `details.status` why not: it is `waiting` or `running`, and so not dead, or it was `replaced` by another of the same kind and subject, which does the same work.
         */
        post: operations["postAdminQueue"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-refund-credits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives a user credits back, for a job or for anything else
         * @description With `job_id` it is the refund of a completed job of that user, at most what it cost (`ERR_4008` on `amount`), and once: afterwards it is `ERR_4009` with the status `refunded`. The job's `credits_used` is less by it.
         *
         *     What an admin gives within any 24 hours, refunds and positive adjustments together, is limited to 10,000 credits: `ERR_4004` with the policy `admin_credits`, and when the amount fits. Nobody credits their own account: `ERR_4006`. A closed account is `ERR_4009` with the status `closed`.
         */
        post: operations["postAdminRefundCredits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-reports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Videos that somebody objects to, newest first, page by page
         * @description A video is one case, however many object to it. `status` names those of one state; `open` and `appealed` ones are to be decided. `reports` and `notices` are the newest 20, the counts are of all. `video_path` is the file in the bucket `videos`. `has_prompt` says whether there is a prompt, which `POST admin-jobs` reads, with a reason.
         */
        get: operations["getAdminReports"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Decides about a video that somebody objects to, or about its user's appeal
         * @description Of a case that is open: `keep`, `remove`, or `suspend`, which removes the video and suspends its user; the latter two also of one that is kept or restored. `ground` is what the user is told, `reason` stays with the operator. What is removed has no URL from then on; its bytes are remembered, its files deleted. Of an appeal: `reject`, or `grant`: the video is shown again where its file is there still, else its credits come back; a suspension is lifted by `admin-users`. Another admin's video, or a user who is an admin, can be removed, not suspended: `ERR_4006`, as for one's own. `ERR_4009` with the case's status where that is decided already.
         */
        patch: operations["patchAdminReports"];
        trace?: never;
    };
    "/admin-search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The users and jobs that somebody's words may name
         * @description What a user sends with a complaint is looked up as all that it may be, at once. A user: their id, its first 8 digits or more, the `reference` in the paths of their files, or their e-mail address (the whole of it, in either case; not of single sign-on). A job: its id, the id of the request that made it, or the app's own name for it. Jobs are shown without their prompt, those too that their user has deleted; 20 of each at most, jobs newest first. Nothing that fits is two empty lists.
         */
        get: operations["getAdminSearch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How the last hour, day or month went, step by step, and how things stand
         * @description `span` is an `hour` in steps of a minute, a `day` in steps of 15 minutes, or a `month` of 30 days in steps of 6 hours. `from` is a whole step in UTC, value i of a series is that of the step that begins i steps later, and the last step goes on. `totals` names the same things, over the whole span. Every figure is what the database has between `from` and `to`, also what was written a moment ago.
         *
         *     | name | labels | |
         *     |---|---|---|
         *     | `jobs_accepted` | | by when they were accepted |
         *     | `jobs_ended` | `outcome`: `completed`, `failed`, `cancelled` | by when they ended |
         *     | `completion_seconds` | `quantile`: `0.5`, `0.95` | from acceptance to the end of what was completed then, in whole seconds; null where nothing was |
         *     | `credits` | `movement`: `sold` | bought, but in the sandbox |
         *     | | `granted` | given to new devices |
         *     | | `spent` | paid for completed videos: captures |
         *     | | `refunded` | given back: releases of jobs that failed or were cancelled, and refunds of the operator; not adjustments |
         *     | `provider_cents` | `provider` | US cents, by when the submissions were claimed, but for what is known not to be billed; a provider without any is absent |
         *
         *     `now` is how things stand, whatever the span: `oldest_due_task_seconds` is how long the task has waited for a worker that waits longest; what waits because its webhook's server has all that it may have at once is not among them.
         */
        get: operations["getAdminStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A user with their credits and jobs, and what admins did about them
         * @description `recent_actions` are the newest 20; `admin_id` is null for what was done by hand in the dashboard. `jobs` counts those that the user has not deleted. `is_guest` and `email` are null once a closed account is erased. `statement` and `purchases` have the newest 50 and 20, also purchases that were not credited, with the `reason`. `erasure` says what a closed account's erasure waits for: the end of a `legal_hold`, its running `jobs`, the `uploads` whose URLs still write, or the `worker`.
         */
        get: operations["getAdminUsers"];
        put?: never;
        /**
         * Suspends a user and ends their sessions, or keeps their data as evidence; or lifts that
         * @description A ban stops new videos and ends the sessions; a token that still lives gets `ERR_4017`. Videos that were accepted go on. An admin cannot be banned, oneself included: `ERR_4006`. A closed account is `ERR_4009` with the status `closed`. Answers like `GET`; what changes nothing is not written down. `hold` keeps what there is of the user, also of a closed account that is not erased yet, until `lift_hold`: what they delete meanwhile is hidden, and its files stay. The user is not told.
         */
        post: operations["postAdminUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-webhook-deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What a webhook was told, newest first, page by page
         * @description `status` names those in one state: `pending`, `delivered`, `dropped` (with a `reason`, as of a webhook that is disabled), `dead` (no try was left). `response` is what the last attempt met: `status` is null where no answer came, `text` the first kilobyte of what the server said.
         */
        get: operations["getAdminWebhookDeliveries"];
        put?: never;
        /**
         * Tells a webhook once more, or something to try it
         * @description Either `delivery_id`: the same event, under the same `webhook-id`, at once and with all its tries. Or `webhook_id` and `test: true`: an event of the type `webhook.test`, whatever the webhook has asked for. `ERR_4009` (`disabled`) where the webhook is.
         */
        post: operations["postAdminWebhookDeliveries"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin-webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Servers that are told what happens
         * @description All of them, 20 at most, newest first. No answer but the one that made it has a secret.
         */
        get: operations["getAdminWebhooks"];
        put?: never;
        /**
         * Has a server told what happens, and shows the secret that it verifies it with
         * @description `url` is https on port 443 of a public host; in a local project also http on this machine. `types` are patterns of [events](events.md): a type, a topic (`video.*`), or all (`#`). `secret` is shown this once; [the guide for receivers](webhooks.md) says what a server does with it. `ERR_4009` (`too_many`) where there are 20.
         */
        post: operations["postAdminWebhooks"];
        /**
         * Tells a server nothing more, and forgets it
         * @description What waited for it is told to nobody. `ERR_4007` for one that is not there, as in a second call.
         */
        delete: operations["deleteAdminWebhooks"];
        options?: never;
        head?: never;
        /**
         * Changes what a server is told and where, stops it, or gives it another secret
         * @description What is not given stays. `rotate_secret: true` answers a new `secret`; for 24 hours messages carry a signature by the one before, too. While `is_enabled` is false the server is told nothing, and what waited for it is dropped; enabled again, it hears what happens from then on. `ERR_4009` (`dropping`) where it is to be enabled and more than 1,000 deliveries that waited are not dropped yet: 120,000 take a minute.
         */
        patch: operations["patchAdminWebhooks"];
        trace?: never;
    };
    "/app-store-notifications": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The App Store reports what became of a purchase
         * @description The URL for App Store Server Notifications, version 2, of production and sandbox alike, in App Store Connect. Apple's signature over `signedPayload` proves who sent it. It is stored before it is answered, whatever its type, and a repeated one changes nothing. What is not proved to be Apple's, and about this app, is `ERR_4005`: so is this example, which nobody has signed.
         */
        post: operations["postAppStoreNotifications"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/appeals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Objects to the removal of one's own video, once
         * @description Of a job whose `error` is `ERR_4022` and whose `details.appeal` is `possible`; it then says what becomes of it: `open`, `granted` or `rejected`. A suspended user may appeal, as long as their token lives. `statement` has 1 to 2,000 characters; the same words again are the same appeal. `ERR_4009` with `completed` where nothing was removed, `appealed` where other words were said before, `removed` where that was rejected, `restored` where it was granted.
         */
        post: operations["postAppeals"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/apple-identity-notifications": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Apple reports what became of somebody's Sign in with Apple
         * @description The URL for Sign in with Apple's server-to-server notifications, in Apple's developer account. Apple's signature over `payload` proves who sent it. `consent-revoked` takes the identity from its user, who is a guest again where they had no other; `account-delete` closes an account that has no other; of all else it is kept that it was told. A repeated one changes nothing. What is not proved to be Apple's, and about this app, is `ERR_4005`: so is this example, which nobody has signed.
         */
        post: operations["postAppleIdentityNotifications"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/cancel-video": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancels a video: at once while no provider has it, else by the provider's word
         * @description A `pending` job is cancelled at once, and its credits are back: 200. One that a provider has is answered as it is, with 202: the provider is asked, and only its word cancels the job; if the video comes all the same, it is completed and paid. A second call answers the same; `cancel_requested_at` shows that it was asked. A job that is being stored, or has ended otherwise, is `ERR_4009`.
         */
        post: operations["postCancelVideo"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the caller has, and what moved it, newest first, page by page
         * @description `credits_remaining` can be spent, `credits_held` waits for the videos that run, `credits_owed` is paid by what comes in next, and `expiring` covers the next 30 days.
         *
         *     `transactions` are what moved `credits_remaining`, newest first, `limit` at a time (1 to 100, else 20); `next_cursor` is the `cursor` of the next page, and null on the last. `amount` is signed. A video's `hold` is not followed by anything once the video is completed, and by a `release` when it ends otherwise. Read a `kind` that you do not know as `other`.
         */
        get: operations["getCredits"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/delete-video-job": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Deletes an ended video; its files are removed afterwards
         * @description The job leaves its user's lists and inbox at once, and a worker removes its files. Only ended jobs: others are `ERR_4009`, and `cancel-video` comes first; so is one that a running job is made from (`in_use`). What the video cost stays paid.
         */
        delete: operations["deleteDeleteVideoJob"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/device-check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Proves that the caller is on a real device, which gets its credits once
         * @description Called after each sign-in, with a new DeviceCheck token each time. The first check of a device grants 10 credits: once for that device, also after its app was installed anew or the account was closed.
         *
         *     `initial_grant.status` is `granted` when this call granted them, and `already_claimed` when the device has had them. It is `pending` while there is a `reason`: Apple cannot be asked now (`apple_unavailable`), another check of the network or the account is not over (`busy`), or the network, or all of them, have had their grants (`network_limit`). The account works, and a check after `retry_after` seconds, or at the next start of the app, settles it. Whose grant is settled is answered at once, under `reads`, and may start behind any network as often as they like. `is_new` tells that this call made the account. `device_id` is optional, and no identity. `signed_app_transaction`, StoreKit's `AppTransaction`, is optional, unless the operator asks for it (`app_transaction_missing`): with it, `recover-guest` finds this guest again, an Apple Account has its grant once, on whatever devices, and the network's limit of grants does not count.
         */
        post: operations["postDeviceCheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/flags/ofrep/v1/evaluate/flags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What every feature flag is for the caller, by OFREP
         * @description The bulk evaluation of [OFREP](https://github.com/open-feature/protocol), for OpenFeature's web and mobile clients ([flags](flags.md)). `context` may hold anything; of it `app_version`, `platform` and `locale` count. `targetingKey` does not: the flags are those of the token's user. `value` is missing where the app's own default is meant. `reason` is `UNKNOWN` where no rule fits or one cannot be evaluated; `metadata` says which, and why. Errors have OFREP's `errorCode` and `errorDetails` beside ours. Send the answer's `ETag` as `If-None-Match`, and there is no body while nothing has changed: 304.
         */
        post: operations["postFlags"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/flags/ofrep/v1/evaluate/flags/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a feature flag is for the caller, by OFREP
         * @description The evaluation of one flag by [OFREP](https://github.com/open-feature/protocol), for OpenFeature's server clients. As the bulk evaluation has it; a flag that is not there is `ERR_4007`, with the `errorCode` `FLAG_NOT_FOUND`.
         */
        post: operations["postFlagsByKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/generate-video": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accepts a video, holds its price and begins to generate it
         * @description The price is computed from model and settings, and held; a video that is not made gives it back. Watch the job with `video-status`.
         *
         *     `prompt` has 1 to 2000 characters, with tabs and line breaks but no other control or direction characters; where a model takes less, `options.prompt_max_characters` says how much, in UTF-16 units. `settings` are options of the model and its `inputs`, by their names; defaults stand for those that are left out, and `ERR_4008` names what the model does not take. `image_url` is for models that require an image: https, a public DNS name, no port, no credentials. It is fetched once, after the answer, and what was fetched is used; where there is no picture the job ends with `ERR_4019`. `image_upload_id`, instead of it, is one of the caller's `uploads`, which must be `ready` (`ERR_4009`) and there (`ERR_4007`). `source_job_id` is for models of the category `video_to_video`, which need it: a completed job of the caller's own, `ERR_4007` where it is not there, `ERR_4009` while it runs or where it has failed. `client_reference`, 1 to 100 visible characters, is the app's own name for the job: it is kept with it, and `video-jobs` finds it. `project_id` puts it into one of the caller's `projects`: `ERR_4007` for any other. Optional fields may be null.
         *
         *     Where the operator asks for consent, `ERR_4021` names in `processors` who would get the prompt and have not all been accepted: with `accepted_processors` of `user-profile` they are, and the same key goes on.
         */
        post: operations["postGenerateVideo"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/generate-videos": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accepts several videos under one key: all of them, or each by itself
         * @description `items` are bodies of `generate-video`: from 1 to what `video_generation` allows in an hour, and at most 20. Each counts in the limits as a call of `generate-video` does.
         *
         *     With the `mode` `all` every item is accepted or none: the first refusal is the answer's error, whose `details.index` names the item (of `ERR_4001`, `required` is what the items up to this one cost together). With `any` each is accepted by itself, in order, until credits or limits end, and its result has `job_id` and `credits_used`, or the `error` that `generate-video` would have answered; only where the first item meets a limit is that the answer.
         *
         *     One key covers the whole: a retry answers the same results, refused ones included, so that what was refused is asked for again with a new key. The first video is submitted at once, the others take turns with those of other users.
         */
        post: operations["postGenerateVideos"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether the backend works; more for a secret key
         * @description `unhealthy`, with 503, when the database cannot be asked, or when its tick, which comes every 5 seconds, has not come for a minute: then nobody would be told of anything. `degraded`, with 200, when that never came yet, or storage, the worker, a provider, Apple, the client's address or a part of the platform are not there. Answers are shared for 5 seconds. Only a secret key gets `checks` and `version`. A check's `reason` is `schema_not_exposed` when the platform was not told to expose the schema `api`. `providers` is right while each model that is offered has one that is configured and whose breaker is not open; `apple` while Apple takes our key, which is asked once a minute; `incidents.away` names what is away now; `client_address` while the request carries the configured header, without which all users share the limits of one network. `platform.missing` names what docs/deploying.md asks of the project and is not there, `platform.invalid` which variables are bad.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/merge-guest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes a guest a part of the caller, who has signed in to an account of their own
         * @description For an app whose guest signs in to an account that exists already. Where the identity is new, the guest links it instead (`linkIdentity`), and nothing has to move.
         *
         *     `guest_token` is the guest's access token, at most 5 minutes old: refresh the guest's session before the other signs in. Credits, debts, videos, running ones too, uploads and idempotency keys become the caller's; the guest's sessions end. A guest is merged once; a second call answers the same. `ERR_4008` for a token that is old, or whose session has ended. `ERR_4009` with the status `not_guest`, `merged` (into another), `closed` or `suspended`. A caller who is a guest gets `ERR_4006`.
         */
        post: operations["postMergeGuest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is counted and measured, for Prometheus
         * @description Prometheus' text format 0.0.4. Counters and histograms are what isolates counted since there is the database, some 20 seconds late; gauges are what the tables know now. `METRICS_TOKEN` opens this and nothing else. docs/operations/metrics.md says what to watch.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The models that can be used now, with their options and prices
         * @description What can be generated now. `pricing.credits` is the price of a video, or of each second of it; `options` has the values of each setting, and the one that stands for it where it is left out; `options.prompt_max_characters` is there for a model that takes prompts of less than 2,000. `inputs` are what a model takes beside, which `settings` has by their names: with type, bounds, default, and what they multiply the price by where they are used. `processed_by` names who may get the prompt and the image: show them, and ask for consent. Send the answer's `ETag` as `If-None-Match`, and there is no body while nothing has changed: 304.
         */
        get: operations["getModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/notifications": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's inbox, newest first, page by page
         * @description Newest first, `limit` at a time (1 to 100, else 20); with `unread=true` those alone that are unread. `title` and `body` are in the language of the answer; `type` and `data` are those of the event, of which [the events](events.md) tell. `unread` is the number of all that are, for a badge. What is 90 days old is gone, and what was about a job that was deleted.
         */
        get: operations["getNotifications"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Marks notifications as read
         * @description Either `ids`, 1 to 100 of them, or `all`. What is not there, or another's, is passed over; a second call changes nothing. `unread` is what is left.
         */
        patch: operations["patchNotifications"];
        trace?: never;
    };
    "/process-jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Wakes the worker, which goes on after the answer
         * @description Called by the database when tasks are due. It answers at once and works in the background; workers that run at the same time never do a task twice.
         */
        post: operations["postProcessJobs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/products": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is sold now, with the credits that it brings
         * @description What the app offers, in the operator's order: ask StoreKit for these `product_id`s, which have the prices. `credits` are for one of a `consumable`, and for each period of a `subscription`. Send the answer's `ETag` as `If-None-Match`, and there is no body while nothing has changed: 304.
         */
        get: operations["getProducts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's projects, newest first, page by page
         * @description Newest first, `limit` at a time (1 to 100, else 20). `job_count` is the number of its videos, without the deleted ones; `video-jobs?project_id=` has them. `next_cursor` is the `cursor` of the next page, and null on the last.
         */
        get: operations["getProjects"];
        put?: never;
        /**
         * Makes a project, to sort videos by
         * @description `name` has 1 to 100 characters. Names need not differ, and a second call makes another project.
         */
        post: operations["postProjects"];
        /**
         * Deletes a project, and none of its videos
         * @description Its videos stay, and are in no project then. `ERR_4007` for a project that is not there, or another's.
         */
        delete: operations["deleteProjects"];
        options?: never;
        head?: never;
        /**
         * Gives a project another name
         * @description `ERR_4007` for a project that is not there, or another's.
         */
        patch: operations["patchProjects"];
        trace?: never;
    };
    "/provider-webhook": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * A provider reports what became of a submission
         * @description The URL that a provider gets with each submission; `owner` is the reference of the job's owner, `token` proves which submission it was made for, and the provider's own signature, in its own headers, proves who sent the body. An event is stored before it is answered; a repeated one changes nothing. A signature, token or account that does not fit, or a timestamp that is more than 5 minutes off, is `ERR_4005`: so is this example, which nobody has signed.
         */
        post: operations["postProviderWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/purchases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the caller bought, newest first, page by page
         * @description What was credited to the caller, `limit` at a time (1 to 100, else 20). `credits_added` is what a purchase brought; what Apple refunded of it since is in `status`, and taken back in `credits` as `reversal`; so is what was left of a period that another level replaced. `subscription` is null for whoever never had one.
         */
        get: operations["getPurchases"];
        put?: never;
        /**
         * Credits a transaction of the App Store, once
         * @description `signed_transaction` is StoreKit 2's `jwsRepresentation`. It needs no key: the same transaction is credited once, whoever sends it and how often, and `already_credited` says that it was before. Buy with the user's `app_account_token`, and the purchase is theirs whoever presents it. Call `transaction.finish()` after 200, and after `ERR_4016` with `revoked`, `expired`, `family_shared` or `other_account`; after anything else present it again later. This example is signed by nobody.
         */
        post: operations["postPurchases"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/push-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Has a device told of what happens to the caller
         * @description `token` is what APNs gave the app, in hexadecimal; `environment` is `sandbox` for a build that Xcode has put on the device, else `production`; a wrong one is found out and mended with the first push. A device belongs to the last user who registered it. A user has ten at most: with the eleventh, the one that was registered longest ago goes. At each start of the app.
         */
        post: operations["postPushTokens"];
        /**
         * Tells a device nothing any more
         * @description Before the user signs out. A device that is not there, or another's, is passed over.
         */
        delete: operations["deletePushTokens"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/recover-guest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes the guest that the caller's Apple Account was a part of the caller, a new guest
         * @description A guest is its session, and a session can be lost, as with an app that is installed anew. StoreKit's `AppTransaction` proves the Apple Account: whoever first came with it to `device-check` is merged into the caller, as by `merge-guest`. It must be signed within the last 10 minutes (`AppTransaction.refresh`). `ERR_4007` where nobody came with it. `ERR_4009` with the status `in_use` until the guest was idle for 7 days, since another device of that Apple Account may be using it; `recovered` within a day of the last time; `not_guest` where either has an identity by which they can sign in; `closed` or `suspended`. `ERR_4016` for what Apple did not sign for this app.
         */
        post: operations["postRecoverGuest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/reports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tells the operator that a video should not be there
         * @description Of any video whose id the caller knows, their own too. `details` has 1 to 2,000 characters, lines among them. A second report of the same video answers the first. It hides nothing: the operator decides. `ERR_4007` for a video that is not there, not made yet, or deleted.
         */
        post: operations["postReports"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Where the caller is signed in
         * @description Each sign-in is a session, on whatever device. It is used when its tokens are refreshed, once an hour.
         */
        get: operations["getSessions"];
        put?: never;
        post?: never;
        /**
         * Ends one of the caller's sessions, or all others, at once
         * @description With `session_id`, one (204), the current one too; with `others=true`, all but the current one (200). Its tokens are refused from that moment on: `ERR_4005`. `ERR_4007` for a session that has ended already.
         */
        delete: operations["deleteSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/takedown-notices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Asks the operator to remove a video, without an account
         * @description For a form on a web page, for whoever sees themselves or their work in a video. The id stands in the video's address. `contact` has 3 to 200 characters, `statement` 1 to 4,000. The operator decides within 48 hours, by `due_at`; until then nothing changes, however many notices there are. The same notice again answers the first. `ERR_4007` for a video that is not there, not made yet, or deleted.
         */
        post: operations["postTakedownNotices"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/uploads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's pictures, newest first, page by page
         * @description Newest first, `limit` at a time (1 to 100, else 20); those that were begun and not completed are `pending`, until their URL expires. `project_id` shows those of one of the caller's `projects` (`ERR_4007` for any other). `next_cursor` is the `cursor` of the next page, and null on the last.
         */
        get: operations["getUploads"];
        put?: never;
        /**
         * Begins the upload of a picture, and tells where its file goes
         * @description A JPEG, PNG or WebP of up to 10 MB, 64 to 8192 pixels a side. PUT the file to `upload_url` with its `Content-Type`, or give its path and token to supabase-js' `uploadToSignedUrl`; then PATCH. Three may be pending at the same time, more are `ERR_4009`; one that is not completed when its URL expires is gone. `ERR_4020` says how much room there is: 100 MB for a guest, 500 MB for whoever has signed in, 5 GB with a subscription. `project_id` puts it into one of the caller's `projects` (`ERR_4007` for any other).
         */
        post: operations["postUploads"];
        /**
         * Deletes a picture; its files are removed afterwards
         * @description The picture leaves its user's list at once, and a worker removes its files. `ERR_4009` while a video is made from it.
         */
        delete: operations["deleteUploads"];
        options?: never;
        head?: never;
        /**
         * Completes an upload: the file is looked at and cleaned
         * @description The file is looked at, and copied without what else is in it: place, time, device, and what follows its end. Pixels, orientation, colour profile and Content Credentials stay. Whatever is written to the URL from then on changes nothing. `ERR_4019` says in `reason` why a file cannot be used: `not_an_image` (also where it is broken), `wrong_type` (another than was told, an animation, CMYK), `too_large` (also more than was told), `wrong_size` (in pixels), `missing`; another file may be PUT then, and the upload completed. A second call answers the same.
         */
        patch: operations["patchUploads"];
        trace?: never;
    };
    "/user-export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Has a file made of all that is kept of the caller
         * @description A worker writes a JSON file: the list of the user's videos, and every row that the database has of them, by table. Once it is `ready`, `export` of `user-profile` has its URL, for 7 days. Once a day (`exports`); while one is `pending` the answer is that one, and one that `failed` does not count. The videos themselves come from `video-status`.
         */
        post: operations["postUserExport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user-profile": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's own profile
         * @description `language` is the one of messages where a request asks for none; null until the user has chosen one. Buy with `app_account_token` as StoreKit's `appAccountToken`, and the purchase is this user's; it is nobody else's to know. `export` is the file that `user-export` asked for, with a new URL at each call.
         */
        get: operations["getUserProfile"];
        put?: never;
        post?: never;
        /**
         * Closes the caller's account, at once and for good
         * @description Videos that are not finished are cancelled, credits are forfeited, and sessions end; a worker erases files and personal data. The token, while it lives, gets `ERR_4005` everywhere.
         *
         *     Of whoever signed in with Apple, send an `apple_authorization_code`, from a new sign-in: it is good for 5 minutes, and the worker has Apple revoke the app's access with it. The account is closed whatever Apple says; a body is never needed. `subscription` is one that goes on at Apple's: only its buyer can end it, so show them where.
         */
        delete: operations["deleteUserProfile"];
        options?: never;
        head?: never;
        /**
         * Changes what it names of the profile
         * @description Changes the members that it names, of `display_name` (1 to 50 characters, or null), `language`, `theme_preference`, `shares_consumption`, by which Apple may be told how much of a purchase was used when a refund is asked for, `accepted_processors`, the whole list of those who may get the user's prompts and images, of the names in the models' `processed_by`, and `notification_preferences`, of which it names what changes; answers like `GET`.
         */
        patch: operations["patchUserProfile"];
        trace?: never;
    };
    "/video-jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's videos, newest first, page by page
         * @description Newest first, `limit` at a time (1 to 100, else 20), of one `status` or of all, of one `client_reference` or of any, of one `project_id` (`ERR_4007` where the caller has no such project) or of all; deleted videos are absent. `next_cursor` is the `cursor` of the next page, and null on the last. Newer videos move no page. Each `video_url` is signed, and has at least 10 minutes left; where the URLs of 24 hours are used up it is null, and `retry_after` of the job says for how long.
         */
        get: operations["getVideoJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/video-status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How far a video is, and where it can be watched
         * @description Ask again after `next_poll_seconds`, until it is null: then the job has ended. It grows with the job's age and with the number of jobs that run: whoever obeys it for each stays within half of `reads`. `video_url` is signed, and has at least 10 minutes left; ask for a new one instead of keeping it. Whoever has had 200 renewed in 24 hours gets null, and `retry_after` in the job says in how many seconds there is one again. `thumbnail_url` is signed with it where the provider made a picture, as some of fal's and Replicate's models do; else it is null, and the app shows the video's first frame. A failed job says why in `error`, whose codes are those of errors.
         *
         *     `status` is `pending` (no provider has it, and none may have it), `processing`, `completed`, `failed` or `cancelled`; the last three never change again. `credits_used` is what is held or was paid, less what was given back: 0 for a job that failed or was cancelled. `settings` are those used, defaults included. `client_reference` is what the app gave, `cancel_requested_at` when cancelling was asked for.
         *
         *     `progress.stage` is `queued` (no provider has it), `submitted` (sent to one that has not started, or has not answered), `generating`, `storing`, or `done` (ended, however).
         */
        get: operations["getVideoStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @enum {string} */
        ErrorCode: "ERR_4001" | "ERR_4002" | "ERR_4003" | "ERR_4004" | "ERR_4005" | "ERR_4006" | "ERR_4007" | "ERR_4008" | "ERR_4009" | "ERR_4010" | "ERR_4011" | "ERR_4012" | "ERR_4013" | "ERR_4014" | "ERR_4015" | "ERR_4016" | "ERR_4017" | "ERR_4018" | "ERR_4019" | "ERR_4020" | "ERR_4021" | "ERR_4022" | "ERR_5001" | "ERR_5002" | "ERR_5003" | "ERR_6001" | "ERR_6002" | "ERR_6003" | "ERR_6004";
        Error: {
            error: {
                code: components["schemas"]["ErrorCode"];
                /** @description For people, in the language of Content-Language */
                message: string;
                /** @description For the app; the same in every language */
                details: {
                    [key: string]: unknown;
                };
                request_id: string;
            };
        };
        /** @description What `error.details` holds, by `error.code`, where it holds anything. For generated clients: no answer is of it */
        ErrorDetails: {
            ERR_4001: {
                /** @description Credits */
                required: number;
                /** @description Credits */
                available: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4002: {
                model_id: string;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4003: {
                /** @enum {string} */
                reason: "policy" | "provider_policy";
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4004: {
                /** @description The limit that was met */
                policy: string;
                /** @description Seconds */
                retry_after: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4008: {
                fields: components["schemas"]["FieldError"][];
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4009: {
                /** @description What it is in */
                status: string;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4012: {
                /** @description Seconds */
                retry_after: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4013: {
                limit_bytes: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4016: {
                /** @enum {string} */
                reason: "revoked" | "expired" | "family_shared" | "other_account" | "invalid_signature" | "wrong_app" | "not_a_transaction" | "unknown_product" | "wrong_environment";
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4019: {
                /** @enum {string} */
                reason: "not_an_image" | "wrong_type" | "too_large" | "wrong_size" | "missing";
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4020: {
                used_bytes: number;
                quota_bytes: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4021: {
                /** @description Who gets the prompt and the image, and must be accepted in the profile */
                processors: string[];
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_4022: {
                /** @enum {string} */
                reason: "sexual" | "minors" | "violence" | "hate" | "harassment" | "real_person" | "copyright" | "illegal" | "other";
                /**
                 * @description Whether its user may object, or what became of that
                 * @enum {string}
                 */
                appeal: "possible" | "open" | "granted" | "rejected" | "none";
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_5003: {
                /** @enum {string} */
                reason: "rejected" | "invalid_result";
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_6001: {
                /** @description Seconds */
                retry_after: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
            ERR_6004: {
                /** @description What is switched off */
                feature: string;
                /** @description Seconds */
                retry_after: number;
                /** @description Of `generate-videos`: the item */
                index?: number;
            };
        };
        FieldError: {
            /** @description Where it is, as `settings.resolution`; empty for all of it */
            path: string;
            /** @description In English, for the developer */
            message: string;
        };
        AcceptedItem: {
            index: number;
            /** Format: uuid */
            job_id: string;
            credits_used: number;
        };
        AcceptedVideo: {
            /** Format: uuid */
            job_id: string;
            /** @constant */
            status: "pending";
            credits_used: number;
            credits_remaining: number;
            /** Format: date-time */
            created_at: string;
        };
        AccountExport: {
            status: components["schemas"]["ExportStatus"];
            /** Format: date-time */
            requested_at: string;
            url: string | null;
            bytes: number | null;
            /** Format: date-time */
            expires_at: string | null;
        };
        AddProductRequest: {
            product_id: string;
            kind: components["schemas"]["ProductKind"];
            name: string;
            description: string;
            credits: number;
            trial_credits?: number | null;
            is_available?: boolean | null;
            is_featured?: boolean | null;
            position?: number | null;
            reason: components["schemas"]["Reason"];
        };
        AdjustCreditsRequest: {
            user_id: components["schemas"]["UserId"];
            amount: number;
            reason: components["schemas"]["Reason"];
        };
        AdminAction: {
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            action: "make_admin" | "remove_admin" | "refund_credits" | "adjust_credits" | "enable_model" | "disable_model" | "ban" | "unban" | "keep_video" | "remove_video" | "grant_appeal" | "reject_appeal" | "refund_removal" | "hold" | "lift_hold" | "create_webhook" | "change_webhook" | "rotate_webhook_secret" | "delete_webhook" | "switch_flag" | "change_limit" | "change_rule" | "acknowledge_alert" | "change_flag" | "create_product" | "change_product" | "replay_task" | "read_prompt";
            /** Format: uuid */
            admin_id: string | null;
            amount: number | null;
            reason: string;
            /** Format: uuid */
            job_id: string | null;
            /** Format: date-time */
            created_at: string;
        };
        AdminFlags: {
            flags: components["schemas"]["Flag"][];
        };
        AdministeredJob: {
            /** Format: uuid */
            job_id: string;
            /** Format: uuid */
            user_id: string;
            status: components["schemas"]["JobStatus"];
            stage: components["schemas"]["JobStage"];
            /** Format: uuid */
            model_id: string;
            model_name: string;
            provider: string | null;
            error_code: string | null;
            credits_used: number;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            started_at: string | null;
            /** Format: date-time */
            completed_at: string | null;
            is_deleted: boolean;
        };
        AdministeredUser: {
            user: {
                /** Format: uuid */
                user_id: string;
                is_guest: boolean | null;
                display_name: string | null;
                /** @enum {string|null} */
                language: "en" | "tr" | "es" | null;
                theme_preference: components["schemas"]["ThemePreference"];
                credits_remaining: number;
                /** Format: date-time */
                created_at: string;
                email: string | null;
                is_banned: boolean;
                /** Format: date-time */
                closed_at: string | null;
                /** Format: uuid */
                merged_into: string | null;
            };
            guests: string[];
            credits: {
                remaining: number;
                held: number;
                owed: number;
            };
            jobs: {
                pending: number;
                processing: number;
                completed: number;
                failed: number;
                cancelled: number;
            };
            legal_hold: {
                /** Format: date-time */
                held_at: string;
            } | null;
            erasure: {
                /** Format: date-time */
                erased_at: string | null;
                /** @enum {string|null} */
                waits_for: "legal_hold" | "jobs" | "uploads" | "worker" | null;
            } | null;
            recent_actions: components["schemas"]["AdminAction"][];
            lots: {
                lot_id: number;
                amount: number;
                remaining: number;
                /** Format: date-time */
                expires_at: string | null;
                is_sandbox: boolean;
            }[];
            statement: {
                /** Format: uuid */
                id: string;
                amount: number;
                /** @enum {string} */
                kind: "grant" | "purchase" | "hold" | "release" | "refund" | "adjustment" | "expiry" | "reversal" | "debt_payment" | "merge" | "forfeit";
                balance_after: number;
                /** Format: uuid */
                job_id: string | null;
                /** Format: date-time */
                created_at: string;
            }[];
            purchases: {
                transaction_id: string;
                product_id: string;
                /** @enum {string} */
                status: "credited" | "partially_refunded" | "refunded" | "not_credited";
                credits_added: number;
                /** Format: date-time */
                purchased_at: string;
                /** Format: date-time */
                expires_at: string | null;
                reason: string | null;
                environment: components["schemas"]["StoreEnvironment"];
            }[];
            sessions: {
                /** Format: date-time */
                created_at: string;
                /** Format: date-time */
                last_used_at: string;
                user_agent: string | null;
            }[];
            devices: {
                registered: number;
                /** Format: date-time */
                first_granted_at: string | null;
            };
        };
        AdminModelsResponse: {
            models: {
                /** Format: uuid */
                id: string;
                name: string;
                description: string;
                category: components["schemas"]["Category"];
                /** Format: uri */
                thumbnail_url: string | null;
                is_featured: boolean;
                requires_image: boolean;
                pricing: components["schemas"]["Pricing"];
                options: components["schemas"]["ModelOptions"];
                inputs: components["schemas"]["ModelInput"][];
                is_available: boolean;
                providers: {
                    provider: string;
                    is_enabled: boolean;
                    breaker: components["schemas"]["Breaker"];
                    cost_cents: number;
                }[];
            }[];
        };
        AdminProduct: {
            product_id: string;
            kind: components["schemas"]["ProductKind"];
            name: string;
            description: string;
            credits: number;
            is_featured: boolean;
            trial_credits: number;
            is_available: boolean;
            position: number;
        };
        AdminSearchResponse: {
            users: {
                /** Format: uuid */
                user_id: string;
                email: string | null;
                /** Format: uuid */
                reference: string | null;
                is_guest: boolean | null;
                is_banned: boolean;
                /** Format: date-time */
                created_at: string;
                credits_remaining: number;
            }[];
            jobs: {
                /** Format: uuid */
                job_id: string;
                /** Format: uuid */
                user_id: string;
                status: components["schemas"]["JobStatus"];
                /** @enum {string} */
                matched: "job_id" | "request_id" | "client_reference";
                /** Format: date-time */
                created_at: string;
            }[];
        };
        Alert: {
            /** Format: uuid */
            alert_id: string;
            rule: string;
            subject: string;
            level: components["schemas"]["AlertLevel"];
            details: {
                [key: string]: unknown;
            };
            count: number;
            metric: string | null;
            value: number | null;
            threshold: number | null;
            /** Format: date-time */
            raised_at: string;
            /** Format: date-time */
            last_at: string;
            /** Format: date-time */
            acknowledged_at: string | null;
            /** Format: date-time */
            resolved_at: string | null;
        };
        /** @enum {string} */
        AlertAction: "notify" | "throttle" | "shutdown";
        /** @enum {string} */
        AlertLevel: "warning" | "critical";
        AlertRule: {
            rule: string;
            what: string;
            metric: string;
            measured_over_seconds: number;
            is_low_bad: boolean;
            warning: number | null;
            critical: number | null;
            ok_for_seconds: number;
            cooldown_seconds: number;
            action: components["schemas"]["AlertAction"];
            acts_at: components["schemas"]["AlertLevel"];
            policies: string[];
            throttle_percent: number;
            flags: string[];
            is_pinned: boolean;
            is_enabled: boolean;
            last_error: string | null;
            acting_on: string[];
        };
        Appeal: {
            /** Format: uuid */
            job_id: string;
            /** @constant */
            status: "appealed";
        };
        AppealsRequest: {
            job_id: components["schemas"]["ReportedJobId"];
            statement: components["schemas"]["Statement"];
        };
        AppleIdentityNotificationsResponse: {
            /** @constant */
            received: true;
        };
        AppStoreNotificationsResponse: {
            /** @constant */
            received: true;
        };
        BanUserRequest: {
            user_id: components["schemas"]["UserId"];
            /** @enum {string} */
            action: "ban" | "unban" | "hold" | "lift_hold";
            reason: components["schemas"]["Reason"];
        };
        /** @enum {string} */
        Breaker: "closed" | "open" | "half_open";
        CancelVideoRequest: {
            /** Format: uuid */
            job_id: string;
        };
        /** @enum {string} */
        CaseStatus: "open" | "kept" | "removed" | "appealed" | "restored";
        /** @enum {string} */
        Category: "text_to_video" | "image_to_video" | "video_to_video";
        ChangeFlagRequest: {
            key: components["schemas"]["FlagKey"];
            is_enabled?: boolean | null;
            is_experiment?: boolean | null;
            default_variant?: string | null;
            rules?: components["schemas"]["NewFlagRule"][] | null;
            reason: components["schemas"]["Reason"];
        };
        ChangeModelRequest: {
            /** Format: uuid */
            model_id: string;
            is_available: boolean;
            reason: components["schemas"]["Reason"];
        };
        ChangeModelResponse: {
            /** Format: uuid */
            id: string;
            name: string;
            description: string;
            category: components["schemas"]["Category"];
            /** Format: uri */
            thumbnail_url: string | null;
            is_featured: boolean;
            requires_image: boolean;
            pricing: components["schemas"]["Pricing"];
            options: components["schemas"]["ModelOptions"];
            inputs: components["schemas"]["ModelInput"][];
            is_available: boolean;
        };
        ChangeProductRequest: {
            product_id: string;
            /** @enum {string|null} */
            kind?: "consumable" | "subscription" | null;
            name?: string | null;
            description?: string | null;
            credits?: number | null;
            trial_credits?: number | null;
            is_available?: boolean | null;
            is_featured?: boolean | null;
            position?: number | null;
            reason: components["schemas"]["Reason"];
        };
        ChangeWebhookRequest: {
            webhook_id: components["schemas"]["WebhookId"];
            url?: string | null;
            types?: components["schemas"]["EventPattern"][] | null;
            is_enabled?: boolean | null;
            rotate_secret?: boolean | null;
            reason: components["schemas"]["Reason"];
        };
        ChangeWebhookResponse: {
            /** Format: uuid */
            webhook_id: string;
            url: string;
            types: string[];
            is_enabled: boolean;
            /** @enum {string|null} */
            disabled_reason: "admin" | "gone" | "failing" | null;
            /** Format: date-time */
            failing_since: string | null;
            /** Format: date-time */
            created_at: string;
            secret?: string;
        };
        ChannelChanges: {
            inbox?: boolean | null;
            push?: boolean | null;
        };
        Check: {
            ok: boolean;
            duration_ms: number;
            /** @enum {string} */
            reason?: "schema_not_exposed";
        };
        CloseAccountRequest: {
            apple_authorization_code?: string | null;
        };
        ClosedAccount: {
            /** Format: uuid */
            user_id: string;
            /** Format: date-time */
            closed_at: string;
            subscription: components["schemas"]["Subscription"];
        };
        CreateProjectRequest: {
            name: string;
        };
        CreateWebhookRequest: {
            url: components["schemas"]["WebhookUrl"];
            types: components["schemas"]["EventPatterns"];
            reason: components["schemas"]["Reason"];
        };
        CreditedPurchase: {
            transaction_id: string;
            product_id: string;
            /** @enum {string} */
            status: "credited" | "already_credited";
            credits_added: number;
            credits_remaining: number;
            /** Format: date-time */
            expires_at: string | null;
        };
        CreditsResponse: {
            credits_remaining: number;
            credits_held: number;
            credits_owed: number;
            expiring: {
                credits: number;
                /** Format: date-time */
                expires_at: string;
            }[];
            transactions: components["schemas"]["Transaction"][];
            next_cursor: string | null;
        };
        DeleteSessionsResponse: {
            ended: number;
        };
        /** @enum {string} */
        DeliveryStatus: "pending" | "delivered" | "dropped" | "dead";
        DeviceCheckRequest: {
            /** Format: base64 */
            device_token: string;
            signed_app_transaction?: string | null;
            device_id?: string | null;
        };
        DeviceCheckResponse: {
            /** Format: uuid */
            user_id: string;
            /** Format: uuid */
            app_account_token: string;
            credits_remaining: number;
            is_new: boolean;
            initial_grant: {
                /** @enum {string} */
                status: "granted" | "already_claimed" | "pending";
                credits: number;
                /** @enum {string} */
                reason?: "apple_unavailable" | "busy" | "network_limit" | "app_transaction_missing";
                retry_after?: number;
            };
        };
        EvaluatedFlag: {
            key: string;
            value?: unknown;
            /** @enum {string} */
            reason: "STATIC" | "TARGETING_MATCH" | "SPLIT" | "DISABLED" | "UNKNOWN";
            variant?: string;
            metadata?: {
                /** @enum {string} */
                reason: "DEFAULT" | "ERROR";
                error?: string;
            };
        };
        EvaluatedFlags: {
            flags: components["schemas"]["EvaluatedFlag"][];
        };
        /** @enum {string} */
        EventPattern: "video.submitted" | "video.started" | "video.progressed" | "video.completed" | "video.failed" | "video.cancelled" | "credits.changed" | "purchase.credited" | "purchase.refunded" | "account.closed" | "account.merged" | "alert.raised" | "alert.resolved" | "alert.acknowledged" | "report.made" | "webhook.test" | "video.*" | "credits.*" | "purchase.*" | "account.*" | "alert.*" | "report.*" | "webhook.*" | "#";
        EventPatterns: components["schemas"]["EventPattern"][];
        /** @enum {string} */
        ExportStatus: "pending" | "ready" | "failed";
        Flag: {
            key: components["schemas"]["FlagKey"];
            /** @enum {string} */
            type: "boolean" | "string" | "number" | "object";
            is_enabled: boolean;
            is_switch: boolean;
            is_experiment: boolean;
            variants: {
                [key: string]: unknown;
            };
            default_variant: string;
            off_variant: string | null;
            rules: components["schemas"]["FlagRule"][];
            description: string | null;
            version: number;
        };
        FlagKey: string;
        FlagRule: {
            users?: components["schemas"]["UserId"][];
            platforms?: string[];
            locales?: string[];
            app_versions?: string[];
            /** Format: date-time */
            from?: string;
            /** Format: date-time */
            until?: string;
            variant?: string;
            split?: components["schemas"]["FlagShare"][];
        };
        FlagShare: {
            variant: string;
            weight: number;
        };
        FlagsRequest: {
            context: {
                targetingKey?: string;
                app_version?: string | null;
                platform?: string | null;
                locale?: string | null;
            } & {
                [key: string]: unknown;
            };
        };
        GenerateVideoRequest: {
            /** Format: uuid */
            model_id: string;
            prompt: string;
            settings?: ({
                duration_seconds?: number | null;
                resolution?: string | null;
                aspect_ratio?: string | null;
            } & {
                [key: string]: boolean | number | string | string[] | null;
            }) | null;
            image_url?: string | null;
            /** Format: uuid */
            image_upload_id?: string | null;
            client_reference?: string | null;
            /** Format: uuid */
            project_id?: string | null;
            /** Format: uuid */
            source_job_id?: string | null;
        };
        GenerateVideosRequest: {
            /** @enum {string} */
            mode: "all" | "any";
            items: components["schemas"]["GenerateVideoRequest"][];
        };
        GenerateVideosResponse: {
            results: (components["schemas"]["AcceptedItem"] | components["schemas"]["RefusedItem"])[];
            credits_used: number;
            credits_remaining: number;
        };
        GetAdminAlertsResponse: {
            alerts: components["schemas"]["Alert"][];
            rules: components["schemas"]["AlertRule"][];
            incidents: components["schemas"]["Incident"][];
            next_cursor: string | null;
        };
        GetAdminErrorsResponse: {
            errors: components["schemas"]["LoggedError"][];
            next_cursor: string | null;
        };
        GetAdminJobsResponse: {
            jobs: components["schemas"]["AdministeredJob"][];
            story: {
                job: {
                    /** Format: uuid */
                    job_id: string;
                    /** Format: uuid */
                    user_id: string;
                    status: components["schemas"]["JobStatus"];
                    stage: components["schemas"]["JobStage"];
                    /** Format: uuid */
                    model_id: string;
                    model_name: string;
                    provider: string | null;
                    error_code: string | null;
                    credits_used: number;
                    /** Format: date-time */
                    created_at: string;
                    /** Format: date-time */
                    started_at: string | null;
                    /** Format: date-time */
                    completed_at: string | null;
                    is_deleted: boolean;
                    request_id: string | null;
                    client_reference: string | null;
                    /** Format: uuid */
                    project_id: string | null;
                    settings: {
                        duration_seconds?: number;
                        resolution?: string;
                        aspect_ratio?: string;
                    };
                    error_details: {
                        [key: string]: unknown;
                    } | null;
                    flag: string | null;
                    percent: number | null;
                    /** Format: date-time */
                    due_at: string | null;
                    /** Format: date-time */
                    storing_at: string | null;
                    /** Format: date-time */
                    cancel_requested_at: string | null;
                    /** Format: date-time */
                    late_success_at: string | null;
                    /** Format: uuid */
                    source_job_id: string | null;
                    /** Format: date-time */
                    deleted_at: string | null;
                    /** Format: date-time */
                    removed_at: string | null;
                };
                postings: {
                    /** Format: uuid */
                    id: string;
                    /** @enum {string} */
                    kind: "hold" | "capture" | "release" | "refund";
                    amount: number;
                    balance_after: number | null;
                    /** Format: date-time */
                    created_at: string;
                }[];
                submissions: {
                    /** Format: uuid */
                    submission_id: string;
                    provider: string;
                    provider_model: string;
                    /** @enum {string} */
                    state: "sending" | "accepted" | "not_accepted" | "unknown" | "refused" | "ended";
                    request_id: string | null;
                    cost_cents: number;
                    cause: string | null;
                    /** Format: date-time */
                    claimed_at: string;
                    /** Format: date-time */
                    accepted_at: string | null;
                    /** Format: date-time */
                    ended_at: string | null;
                }[];
                provider_events: {
                    provider: string;
                    event_id: string;
                    /** Format: uuid */
                    submission_id: string;
                    state: string | null;
                    /** @enum {string} */
                    effect: "applied" | "asked" | "ignored";
                    /** Format: date-time */
                    received_at: string;
                }[];
                tasks: {
                    task_id: number;
                    kind: string;
                    attempts: number;
                    /** Format: date-time */
                    run_at: string;
                    /** Format: date-time */
                    leased_until: string | null;
                    last_error: string | null;
                    /** Format: date-time */
                    failed_at: string | null;
                    /** Format: date-time */
                    created_at: string;
                }[];
                files: {
                    /** @enum {string} */
                    kind: "video" | "thumbnail";
                    bytes: number;
                    content_type: string;
                    width: number | null;
                    height: number | null;
                    duration_milliseconds: number | null;
                    quality: number | null;
                    /** Format: date-time */
                    created_at: string;
                    /** Format: uri */
                    url: string | null;
                }[];
                errors: {
                    code: string;
                    severity: string;
                    endpoint: string;
                    count: number;
                    context: {
                        [key: string]: unknown;
                    };
                    /** Format: date-time */
                    occurred_at: string;
                }[];
                admin_actions: components["schemas"]["AdminAction"][];
            } | null;
            next_cursor: string | null;
        };
        GetAdminLimitsResponse: {
            policies: components["schemas"]["Policy"][];
        };
        GetAdminQueueResponse: {
            kinds: components["schemas"]["QueueKind"][];
            tasks: components["schemas"]["QueueTask"][];
            next_cursor: string | null;
        };
        GetAdminReportsResponse: {
            cases: components["schemas"]["SafetyCase"][];
            next_cursor: string | null;
        };
        GetAdminStatsResponse: {
            /** @enum {string} */
            span: "hour" | "day" | "month";
            /** Format: date-time */
            from: string;
            /** Format: date-time */
            to: string;
            step_seconds: number;
            series: {
                name: components["schemas"]["StatName"];
                labels: {
                    [key: string]: string;
                };
                unit: components["schemas"]["StatUnit"];
                values: (number | null)[];
            }[];
            totals: {
                name: components["schemas"]["StatName"];
                labels: {
                    [key: string]: string;
                };
                unit: components["schemas"]["StatUnit"];
                value: number | null;
            }[];
            now: {
                due_tasks: number;
                oldest_due_task_seconds: number;
                dead_tasks: number;
                jobs_running: number;
                open_alerts: {
                    warning: number;
                    critical: number;
                };
                providers: {
                    provider: string;
                    is_enabled: boolean;
                    breaker: components["schemas"]["Breaker"];
                    spent_cents_today: number;
                    cap_cents: number | null;
                }[];
            };
        };
        GetSessionsResponse: {
            sessions: {
                /** Format: uuid */
                id: string;
                /** Format: date-time */
                created_at: string;
                /** Format: date-time */
                last_used_at: string;
                is_current: boolean;
            }[];
        };
        GetUploadsResponse: {
            uploads: components["schemas"]["Upload"][];
            next_cursor: string | null;
        };
        /** @enum {string} */
        Ground: "sexual" | "minors" | "violence" | "hate" | "harassment" | "real_person" | "copyright" | "illegal" | "other";
        HealthResponse: {
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy";
            checks?: {
                database: components["schemas"]["Check"];
                storage: components["schemas"]["Check"];
                tick: components["schemas"]["Check"];
                incidents: {
                    ok: boolean;
                    duration_ms: number;
                    /** @enum {string} */
                    reason?: "schema_not_exposed";
                    away: string[];
                };
                queue: components["schemas"]["Check"];
                providers: components["schemas"]["Check"];
                apple: components["schemas"]["Check"];
                client_address: components["schemas"]["Check"];
                platform: components["schemas"]["PlatformCheck"];
            };
            version?: string;
        };
        /** @enum {string} */
        ImageType: "image/jpeg" | "image/png" | "image/webp";
        Incident: {
            /** Format: uuid */
            incident_id: string;
            subject: string;
            /** Format: date-time */
            began_at: string;
            /** Format: date-time */
            ended_at: string | null;
            cause: string | null;
            taken_over_by: string[];
        };
        InputValue: boolean | number | string | string[];
        Job: {
            /** Format: uuid */
            job_id: string;
            status: components["schemas"]["JobStatus"];
            prompt: string;
            /** Format: uuid */
            model_id: string;
            model_name: string;
            settings: components["schemas"]["JobSettings"];
            credits_used: number;
            /** Format: uri */
            video_url: string | null;
            /** Format: date-time */
            video_url_expires_at: string | null;
            /** Format: uri */
            thumbnail_url: string | null;
            error: components["schemas"]["JobError"];
            client_reference: string | null;
            /** Format: uuid */
            project_id: string | null;
            /** Format: date-time */
            cancel_requested_at: string | null;
            retry_after?: number;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            completed_at: string | null;
        };
        JobError: {
            code: string;
            message: string;
            details: {
                [key: string]: unknown;
            };
        } | null;
        JobSettings: {
            duration_seconds: number;
            resolution: string;
            aspect_ratio: string;
        } & {
            [key: string]: components["schemas"]["InputValue"];
        };
        /** @enum {string} */
        JobStage: "queued" | "submitted" | "generating" | "storing" | "done";
        /** @enum {string} */
        JobStatus: "pending" | "processing" | "completed" | "failed" | "cancelled";
        LatestExport: {
            status: components["schemas"]["ExportStatus"];
            /** Format: date-time */
            requested_at: string;
            url: string | null;
            bytes: number | null;
            /** Format: date-time */
            expires_at: string | null;
        } | null;
        ListProductsResponse: {
            products: components["schemas"]["AdminProduct"][];
            waiting: components["schemas"]["WaitingPurchase"][];
        };
        LoggedError: {
            /** Format: date-time */
            minute: string;
            /** Format: date-time */
            at: string;
            code: string;
            /** @enum {string} */
            severity: "info" | "warn" | "error" | "critical";
            endpoint: string;
            place: number;
            message: string | null;
            context: {
                [key: string]: unknown;
            };
            count: number;
            /** Format: uuid */
            user_id: string | null;
            request_id: string | null;
        };
        MarkReadRequest: {
            ids?: string[] | null;
            /** @constant */
            all?: true;
        };
        MergedGuest: {
            /** Format: uuid */
            user_id: string;
            /** Format: uuid */
            merged_user_id: string;
            credits_moved: number;
            jobs_moved: number;
            credits_remaining: number;
        };
        MergeGuestRequest: {
            guest_token: string;
        };
        MetricsResponse: string;
        Model: {
            /** Format: uuid */
            id: string;
            name: string;
            description: string;
            category: components["schemas"]["Category"];
            /** Format: uri */
            thumbnail_url: string | null;
            is_featured: boolean;
            requires_image: boolean;
            processed_by: string[];
            pricing: components["schemas"]["Pricing"];
            options: components["schemas"]["ModelOptions"];
            inputs: components["schemas"]["ModelInput"][];
        };
        ModelInput: {
            name: string;
            /** @enum {string} */
            type: "integer" | "number" | "boolean" | "text" | "choice" | "image" | "images";
            min?: number;
            max?: number;
            values?: string[];
            default?: components["schemas"]["InputValue"];
            price_factor?: number;
        };
        ModelOptions: {
            duration_seconds: components["schemas"]["NumberOption"];
            resolution: components["schemas"]["TextOption"];
            aspect_ratio: components["schemas"]["TextOption"];
            prompt_max_characters?: number;
        };
        ModelsResponse: {
            models: components["schemas"]["Model"][];
        };
        MovedCredits: {
            /** @constant */
            success: true;
            /** Format: uuid */
            transaction_id: string;
            new_balance: number;
        };
        NewFlagRule: {
            users?: components["schemas"]["UserId"][];
            platforms?: string[];
            locales?: string[];
            app_versions?: string[];
            /** Format: date-time */
            from?: string;
            /** Format: date-time */
            until?: string;
            variant?: string;
            split?: components["schemas"]["NewFlagShare"][];
        };
        NewFlagShare: {
            variant: string;
            weight: number;
        };
        Notification: {
            /** Format: uuid */
            id: string;
            type: string;
            title: string;
            body: string;
            data: {
                [key: string]: unknown;
            };
            /** Format: date-time */
            read_at: string | null;
            /** Format: date-time */
            created_at: string;
        };
        NotificationPreferences: {
            [key: string]: {
                inbox: boolean;
                push?: boolean;
            };
        };
        NotificationsResponse: {
            notifications: components["schemas"]["Notification"][];
            unread: number;
            next_cursor: string | null;
        };
        NumberOption: {
            values: number[];
            default: number;
        };
        PatchAdminAlertsRequest: {
            /** Format: uuid */
            alert_id?: string | null;
            acknowledged?: boolean | null;
            rule?: string | null;
            warning?: number | null;
            critical?: number | null;
            /** @enum {string|null} */
            action?: "notify" | "throttle" | "shutdown" | null;
            policies?: string[] | null;
            throttle_percent?: number | null;
            flags?: string[] | null;
            is_pinned?: boolean | null;
            is_enabled?: boolean | null;
            reason: components["schemas"]["Reason"];
        };
        PatchAdminAlertsResponse: {
            alert: {
                /** Format: uuid */
                alert_id: string;
                rule: string;
                subject: string;
                level: components["schemas"]["AlertLevel"];
                details: {
                    [key: string]: unknown;
                };
                count: number;
                metric: string | null;
                value: number | null;
                threshold: number | null;
                /** Format: date-time */
                raised_at: string;
                /** Format: date-time */
                last_at: string;
                /** Format: date-time */
                acknowledged_at: string | null;
                /** Format: date-time */
                resolved_at: string | null;
            } | null;
            rule: {
                rule: string;
                what: string;
                metric: string;
                measured_over_seconds: number;
                is_low_bad: boolean;
                warning: number | null;
                critical: number | null;
                ok_for_seconds: number;
                cooldown_seconds: number;
                action: components["schemas"]["AlertAction"];
                acts_at: components["schemas"]["AlertLevel"];
                policies: string[];
                throttle_percent: number;
                flags: string[];
                is_pinned: boolean;
                is_enabled: boolean;
                last_error: string | null;
                acting_on: string[];
            } | null;
        };
        PatchAdminLimitsRequest: {
            policy: string;
            max_hits?: number | null;
            window_seconds?: number | null;
            reason: components["schemas"]["Reason"];
        };
        PatchAdminReportsRequest: {
            /** Format: uuid */
            case_id: string;
            /** @enum {string} */
            decision: "keep" | "remove" | "suspend" | "grant" | "reject";
            /** @enum {string|null} */
            ground?: "sexual" | "minors" | "violence" | "hate" | "harassment" | "real_person" | "copyright" | "illegal" | "other" | null;
            reason: components["schemas"]["Reason"];
        };
        PatchUploadsRequest: {
            /** Format: uuid */
            upload_id: string;
            /** @constant */
            status: "completed";
        };
        PlatformCheck: {
            ok: boolean;
            duration_ms: number;
            /** @enum {string} */
            reason?: "schema_not_exposed";
            missing: ("postgres_17" | "pg_cron" | "tick_job" | "pg_net" | "functions_url" | "worker_key" | "realtime_policy" | "signing_key")[];
            invalid?: string[];
        };
        Policy: {
            policy: string;
            /** @enum {string} */
            scope: "user" | "network" | "endpoint" | "global";
            /** @enum {string} */
            counts: "hits" | "credits" | "grants";
            max_hits: number;
            window_seconds: number;
            /** @enum {string} */
            on_failure: "open" | "closed";
            throttle_percent: number;
            admits: number;
        };
        PostAdminJobsRequest: {
            /** Format: uuid */
            job_id: string;
            reason: components["schemas"]["Reason"];
        };
        PostAdminJobsResponse: {
            /** Format: uuid */
            job_id: string;
            prompt: string | null;
        };
        PostAdminQueueRequest: {
            task_id: number;
            reason: components["schemas"]["Reason"];
        };
        PostAdminQueueResponse: {
            task: components["schemas"]["QueueTask"];
        };
        PostUploadsRequest: {
            content_type: components["schemas"]["ImageType"];
            bytes: number;
            /** Format: uuid */
            project_id?: string | null;
        };
        PostUploadsResponse: {
            /** Format: uuid */
            upload_id: string;
            /** @constant */
            status: "pending";
            /** Format: uri */
            upload_url: string;
            /** Format: date-time */
            expires_at: string;
        };
        PresentPurchaseRequest: {
            signed_transaction: string;
        };
        Pricing: {
            /** @enum {string} */
            type: "per_video" | "per_second";
            credits: number;
        };
        ProcessJobsResponse: {
            /** @constant */
            accepted: true;
        };
        Product: {
            product_id: string;
            kind: components["schemas"]["ProductKind"];
            name: string;
            description: string;
            credits: number;
            is_featured: boolean;
        };
        /** @enum {string} */
        ProductKind: "consumable" | "subscription";
        ProductsResponse: {
            products: components["schemas"]["Product"][];
        };
        Profile: {
            /** Format: uuid */
            user_id: string;
            is_guest: boolean;
            display_name: string | null;
            /** @enum {string|null} */
            language: "en" | "tr" | "es" | null;
            theme_preference: components["schemas"]["ThemePreference"];
            credits_remaining: number;
            /** Format: uuid */
            app_account_token: string;
            shares_consumption: boolean;
            accepted_processors: string[];
            notification_preferences: components["schemas"]["NotificationPreferences"];
            /** Format: date-time */
            created_at: string;
            subscription: components["schemas"]["Subscription"];
            export: components["schemas"]["LatestExport"];
        };
        Project: {
            /** Format: uuid */
            project_id: string;
            name: string;
            job_count: number;
            /** Format: date-time */
            created_at: string;
        };
        /** Format: uuid */
        ProjectId: string;
        ProjectsResponse: {
            projects: components["schemas"]["Project"][];
            next_cursor: string | null;
        };
        ProviderWebhookResponse: {
            /** @constant */
            received: true;
        };
        Purchase: {
            transaction_id: string;
            product_id: string;
            /** @enum {string} */
            status: "credited" | "partially_refunded" | "refunded";
            credits_added: number;
            /** Format: date-time */
            purchased_at: string;
            /** Format: date-time */
            expires_at: string | null;
        };
        PurchasesResponse: {
            purchases: components["schemas"]["Purchase"][];
            subscription: components["schemas"]["Subscription"];
            next_cursor: string | null;
        };
        /** @enum {string} */
        PushEnvironment: "production" | "sandbox";
        PushToken: string;
        PushTokensRequest: {
            token: components["schemas"]["PushToken"];
            environment: components["schemas"]["PushEnvironment"];
        };
        QueueKind: {
            kind: string;
            due: number;
            running: number;
            dead: number;
            oldest_due_seconds: number;
        };
        QueueTask: {
            task_id: number;
            kind: string;
            /** Format: uuid */
            subject: string;
            /** Format: uuid */
            owner_id: string | null;
            request_id: string | null;
            attempts: number;
            last_error: string | null;
            /** Format: date-time */
            run_at: string;
            /** Format: date-time */
            failed_at: string | null;
            /** Format: date-time */
            created_at: string;
        };
        Reason: string;
        RecoverGuestRequest: {
            signed_app_transaction: string;
        };
        RefundCreditsRequest: {
            user_id: components["schemas"]["UserId"];
            amount: number;
            reason: components["schemas"]["Reason"];
            /** Format: uuid */
            job_id?: string | null;
        };
        RefusedItem: {
            index: number;
            error: {
                code: string;
                message: string;
                details: {
                    [key: string]: unknown;
                };
            };
        };
        RenameProjectRequest: {
            project_id: components["schemas"]["ProjectId"];
            name: string;
        };
        Report: {
            /** Format: uuid */
            report_id: string;
            /** Format: uuid */
            job_id: string;
            reason: components["schemas"]["Ground"];
            /** Format: date-time */
            created_at: string;
        };
        /** Format: uuid */
        ReportedJobId: string;
        ReportsRequest: {
            job_id: components["schemas"]["ReportedJobId"];
            reason: components["schemas"]["Ground"];
            details?: string | null;
        };
        SafetyCase: {
            /** Format: uuid */
            case_id: string;
            /** Format: uuid */
            job_id: string;
            status: components["schemas"]["CaseStatus"];
            /** Format: uuid */
            user_id: string | null;
            has_prompt: boolean;
            video_path: string | null;
            report_count: number;
            notice_count: number;
            /** @enum {string|null} */
            ground: "sexual" | "minors" | "violence" | "hate" | "harassment" | "real_person" | "copyright" | "illegal" | "other" | null;
            appeal: string | null;
            /** Format: date-time */
            opened_at: string;
            /** Format: date-time */
            due_at: string | null;
            /** Format: date-time */
            decided_at: string | null;
            /** Format: date-time */
            appealed_at: string | null;
            /** Format: date-time */
            appeal_decided_at: string | null;
            reports: {
                /** Format: uuid */
                user_id: string;
                reason: components["schemas"]["Ground"];
                details: string | null;
                /** Format: date-time */
                created_at: string;
            }[];
            notices: {
                contact: string;
                statement: string;
                /** Format: date-time */
                received_at: string;
            }[];
        };
        SendWebhookRequest: {
            /** Format: uuid */
            delivery_id?: string | null;
            /** Format: uuid */
            webhook_id?: string | null;
            /** @constant */
            test?: true;
        };
        Statement: string;
        /** @enum {string} */
        StatName: "jobs_accepted" | "jobs_ended" | "completion_seconds" | "credits" | "provider_cents";
        /** @enum {string} */
        StatUnit: "jobs" | "seconds" | "credits" | "cents";
        /** @enum {string} */
        StoreEnvironment: "production" | "sandbox";
        Subscription: {
            product_id: string;
            /** @enum {string} */
            status: "active" | "in_grace" | "in_billing_retry" | "expired" | "revoked";
            /** Format: date-time */
            renews_at: string | null;
            /** Format: date-time */
            expires_at: string;
        } | null;
        TakedownNotice: {
            /** Format: uuid */
            notice_id: string;
            /** Format: uuid */
            job_id: string;
            /** Format: date-time */
            received_at: string;
            /** Format: date-time */
            due_at: string | null;
        };
        TakedownNoticesRequest: {
            job_id: components["schemas"]["ReportedJobId"];
            contact: string;
            statement: string;
        };
        TextOption: {
            values: string[];
            default: string;
        };
        /** @enum {string} */
        ThemePreference: "system" | "light" | "dark";
        Transaction: {
            /** Format: uuid */
            id: string;
            amount: number;
            /** @enum {string} */
            kind: "grant" | "purchase" | "hold" | "release" | "refund" | "adjustment" | "expiry" | "reversal" | "debt_payment" | "merge";
            balance_after: number;
            /** Format: uuid */
            job_id: string | null;
            /** Format: date-time */
            created_at: string;
        };
        Unread: {
            unread: number;
        };
        UpdateUserProfileRequest: {
            display_name?: string | null;
            /** @enum {string|null} */
            language?: "en" | "tr" | "es" | null;
            /** @enum {string|null} */
            theme_preference?: "system" | "light" | "dark" | null;
            shares_consumption?: boolean | null;
            accepted_processors?: string[] | null;
            notification_preferences?: {
                "video.completed"?: components["schemas"]["ChannelChanges"];
                "video.failed"?: components["schemas"]["ChannelChanges"];
                "purchase.credited"?: components["schemas"]["ChannelChanges"];
                "purchase.refunded"?: components["schemas"]["ChannelChanges"];
                "account.merged"?: {
                    inbox?: boolean | null;
                };
            } | null;
        };
        Upload: {
            /** Format: uuid */
            upload_id: string;
            status: components["schemas"]["UploadStatus"];
            content_type: components["schemas"]["ImageType"];
            bytes: number;
            width: number | null;
            height: number | null;
            /** Format: uuid */
            project_id: string | null;
            /** Format: date-time */
            created_at: string;
        };
        /** @enum {string} */
        UploadStatus: "pending" | "ready";
        /** Format: uuid */
        UserId: string;
        VideoJobsResponse: {
            jobs: components["schemas"]["Job"][];
            next_cursor: string | null;
        };
        VideoStatusResponse: {
            /** Format: uuid */
            job_id: string;
            status: components["schemas"]["JobStatus"];
            prompt: string;
            /** Format: uuid */
            model_id: string;
            model_name: string;
            settings: components["schemas"]["JobSettings"];
            credits_used: number;
            /** Format: uri */
            video_url: string | null;
            /** Format: date-time */
            video_url_expires_at: string | null;
            /** Format: uri */
            thumbnail_url: string | null;
            error: components["schemas"]["JobError"];
            client_reference: string | null;
            /** Format: uuid */
            project_id: string | null;
            /** Format: date-time */
            cancel_requested_at: string | null;
            retry_after?: number;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            completed_at: string | null;
            progress: {
                stage: components["schemas"]["JobStage"];
                percent: number | null;
            };
            next_poll_seconds: number | null;
        };
        WaitingPurchase: {
            transaction_id: string;
            environment: components["schemas"]["StoreEnvironment"];
            product_id: string;
            /** @enum {string} */
            kind: "consumable" | "subscription" | "other";
            quantity: number;
            /** Format: uuid */
            user_id: string | null;
            /** Format: date-time */
            purchased_at: string;
        };
        Webhook: {
            /** Format: uuid */
            webhook_id: string;
            url: string;
            types: string[];
            is_enabled: boolean;
            /** @enum {string|null} */
            disabled_reason: "admin" | "gone" | "failing" | null;
            /** Format: date-time */
            failing_since: string | null;
            /** Format: date-time */
            created_at: string;
        };
        WebhookDeliveriesResponse: {
            deliveries: components["schemas"]["WebhookDelivery"][];
            next_cursor: string | null;
        };
        WebhookDelivery: {
            /** Format: uuid */
            delivery_id: string;
            /** Format: uuid */
            webhook_id: string;
            /** Format: uuid */
            event_id: string;
            type: string;
            status: components["schemas"]["DeliveryStatus"];
            attempts: number;
            /** Format: date-time */
            attempted_at: string | null;
            /** Format: date-time */
            next_attempt_at: string | null;
            response: {
                status: number | null;
                duration_ms: number;
                text: string;
            } | null;
            reason: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            ended_at: string | null;
        };
        /** Format: uuid */
        WebhookId: string;
        WebhooksResponse: {
            webhooks: components["schemas"]["Webhook"][];
        };
        WebhookUrl: string;
        WebhookWithSecret: {
            /** Format: uuid */
            webhook_id: string;
            url: string;
            types: string[];
            is_enabled: boolean;
            /** @enum {string|null} */
            disabled_reason: "admin" | "gone" | "failing" | null;
            /** Format: date-time */
            failing_since: string | null;
            /** Format: date-time */
            created_at: string;
            secret: string;
        };
    };
    responses: {
        /** @description `ERR_4001` payment/insufficient-credits */
        ERR_4001: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4002` model/not-available */
        ERR_4002: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4002` model/not-available · `ERR_4003` prompt/refused · `ERR_4011` idempotency/key-reused */
        ERR_4002_ERR_4003_ERR_4011: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4004` limit/rate-exceeded */
        ERR_4004: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                RateLimit: components["headers"]["RateLimit"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4005` auth/unauthenticated */
        ERR_4005: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "WWW-Authenticate": components["headers"]["WwwAuthenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4006` auth/forbidden · `ERR_4017` auth/suspended */
        ERR_4006_ERR_4017: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4007` resource/not-found */
        ERR_4007: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4008` request/malformed */
        ERR_4008: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4008` request/malformed · `ERR_4010` idempotency/key-missing */
        ERR_4008_ERR_4010: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4009` resource/wrong-state */
        ERR_4009: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4009` resource/wrong-state · `ERR_4012` idempotency/in-progress */
        ERR_4009_ERR_4012: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4009` resource/wrong-state · `ERR_4012` idempotency/in-progress · `ERR_4021` consent/missing */
        ERR_4009_ERR_4012_ERR_4021: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4009` resource/wrong-state · `ERR_4020` upload/quota-exceeded */
        ERR_4009_ERR_4020: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4011` idempotency/key-reused */
        ERR_4011: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4013` request/too-large */
        ERR_4013: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4015` device/not-verified · `ERR_4017` auth/suspended */
        ERR_4015_ERR_4017: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4016` purchase/not-verified */
        ERR_4016: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4017` auth/suspended */
        ERR_4017: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4018` request/not-json */
        ERR_4018: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_4019` upload/not-usable */
        ERR_4019: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_6001` database/unavailable */
        ERR_6001: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_6001` database/unavailable · `ERR_6004` feature/switched-off */
        ERR_6001_ERR_6004: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_6002` storage/failed · `ERR_6003` internal/error */
        ERR_6002_ERR_6003: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `ERR_6003` internal/error */
        ERR_6003: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                "Content-Language": components["headers"]["ContentLanguage"];
                "Cache-Control": components["headers"]["CacheControl"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
    };
    parameters: {
        /**
         * @description Preferred languages with weights, among en, tr, es
         * @example tr-TR, en;q=0.5
         */
        AcceptLanguage: string;
        /**
         * @description Names the request in answers and logs; a new one is made where this is absent or malformed
         * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
         */
        RequestId: string;
        /**
         * @description One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; the outcome is kept for 24 hours in the scope of caller and endpoint
         * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
         */
        IdempotencyKey: string;
        /**
         * @description The ETag of the answer that the caller has
         * @example "42"
         */
        IfNoneMatch: string;
    };
    requestBodies: never;
    headers: {
        /**
         * @description The request's id
         * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
         */
        RequestId: string;
        /**
         * @description The language of messages
         * @example en
         */
        ContentLanguage: "en" | "tr" | "es";
        /**
         * @description Whether and for how long the answer may be kept
         * @example no-store
         */
        CacheControl: string;
        /**
         * @description Seconds since the answer was made, where it comes from memory
         * @example 17
         */
        Age: number;
        /**
         * @description Where it comes from memory: `ttl` is how many seconds it is still fresh, less than 0 while the database is away
         * @example kinora; hit; ttl=43
         */
        CacheStatus: string;
        /**
         * @description Changes when the body does
         * @example "42"
         */
        ETag: string;
        /**
         * @description The kind of credentials that is missing
         * @example Bearer
         */
        WwwAuthenticate: "Bearer";
        /**
         * @description The limits that apply: `q` requests in `w` seconds
         * @example "video_generation";q=10;w=3600
         */
        RateLimitPolicy: string;
        /**
         * @description What is left of them: `r` requests, and `t` seconds until there are more
         * @example "video_generation";r=7;t=1820
         */
        RateLimit: string;
        /**
         * @description Seconds to wait
         * @example 1820
         */
        RetryAfter: number;
        /**
         * @description `true` where the outcome is that of an earlier request with the same key
         * @example true
         */
        IdempotencyReplayed: "true";
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    postAdminAdjustCredits: {
        parameters: {
            query?: never;
            header: {
                /**
                 * @description One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; the outcome is kept for 24 hours in the scope of caller and endpoint
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key": components["parameters"]["IdempotencyKey"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                 *       "amount": 10,
                 *       "reason": "Winner of the November contest"
                 *     }
                 */
                "application/json": components["schemas"]["AdjustCreditsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "transaction_id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77",
                     *       "new_balance": 16
                     *     }
                     */
                    "application/json": components["schemas"]["MovedCredits"];
                };
            };
            400: components["responses"]["ERR_4008_ERR_4010"];
            401: components["responses"]["ERR_4005"];
            402: components["responses"]["ERR_4001"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009_ERR_4012"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4011"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminAlerts: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example open */
                status?: "open" | "resolved";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "alerts": [
                     *         {
                     *           "alert_id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2b10",
                     *           "rule": "spending",
                     *           "subject": "fal",
                     *           "level": "warning",
                     *           "details": {
                     *             "what": "Money spent at a provider today, in percent of its cap"
                     *           },
                     *           "count": 3,
                     *           "metric": "spending_percent",
                     *           "value": 83,
                     *           "threshold": 80,
                     *           "raised_at": "2026-11-21T12:00:00.000Z",
                     *           "last_at": "2026-11-21T12:02:00.000Z",
                     *           "acknowledged_at": null,
                     *           "resolved_at": null
                     *         }
                     *       ],
                     *       "rules": [
                     *         {
                     *           "rule": "spending",
                     *           "what": "Money spent at a provider today, in percent of its cap",
                     *           "metric": "spending_percent",
                     *           "measured_over_seconds": 86400,
                     *           "is_low_bad": false,
                     *           "warning": 80,
                     *           "critical": 100,
                     *           "ok_for_seconds": 300,
                     *           "cooldown_seconds": 300,
                     *           "action": "notify",
                     *           "acts_at": "critical",
                     *           "policies": [],
                     *           "throttle_percent": 50,
                     *           "flags": [],
                     *           "is_pinned": false,
                     *           "is_enabled": true,
                     *           "last_error": null,
                     *           "acting_on": []
                     *         }
                     *       ],
                     *       "incidents": [
                     *         {
                     *           "incident_id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2b11",
                     *           "subject": "provider fal",
                     *           "began_at": "2026-11-21T12:00:00.000Z",
                     *           "ended_at": "2026-11-21T12:06:00.000Z",
                     *           "cause": "5 failures in a row",
                     *           "taken_over_by": [
                     *             "replicate"
                     *           ]
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminAlertsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminAlerts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "rule": "spending",
                 *       "warning": 60,
                 *       "reason": "A smaller cap than last month's"
                 *     }
                 */
                "application/json": components["schemas"]["PatchAdminAlertsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "alert": null,
                     *       "rule": {
                     *         "rule": "spending",
                     *         "what": "Money spent at a provider today, in percent of its cap",
                     *         "metric": "spending_percent",
                     *         "measured_over_seconds": 86400,
                     *         "is_low_bad": false,
                     *         "warning": 60,
                     *         "critical": 100,
                     *         "ok_for_seconds": 300,
                     *         "cooldown_seconds": 300,
                     *         "action": "notify",
                     *         "acts_at": "critical",
                     *         "policies": [],
                     *         "throttle_percent": 50,
                     *         "flags": [],
                     *         "is_pinned": false,
                     *         "is_enabled": true,
                     *         "last_error": null,
                     *         "acting_on": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["PatchAdminAlertsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminErrors: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example ERR_6003 */
                code?: string;
                /** @example models */
                endpoint?: string;
                status?: string;
                request_id?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "errors": [
                     *         {
                     *           "minute": "2026-11-21T12:00:00.000Z",
                     *           "at": "2026-11-21T12:00:07.250Z",
                     *           "code": "ERR_6003",
                     *           "severity": "critical",
                     *           "endpoint": "models",
                     *           "place": 1,
                     *           "message": "Unexpected end of JSON input",
                     *           "context": {
                     *             "error": {
                     *               "name": "SyntaxError",
                     *               "message": "Unexpected end of JSON input"
                     *             }
                     *           },
                     *           "count": 3,
                     *           "user_id": "8d2f5b1e-0c37-4a86-9a51-2f6f1f8f4c20",
                     *           "request_id": "req-7f3a"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminErrorsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminFlags: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "flags": [
                     *         {
                     *           "key": "generation",
                     *           "type": "boolean",
                     *           "is_enabled": true,
                     *           "is_switch": true,
                     *           "is_experiment": false,
                     *           "variants": {
                     *             "on": true,
                     *             "off": false
                     *           },
                     *           "default_variant": "on",
                     *           "off_variant": "off",
                     *           "rules": [],
                     *           "description": "Videos are accepted",
                     *           "version": 1
                     *         },
                     *         {
                     *           "key": "video_model",
                     *           "type": "string",
                     *           "is_enabled": true,
                     *           "is_switch": false,
                     *           "is_experiment": true,
                     *           "variants": {
                     *             "kling": "0190a000-0000-7000-8000-000000000001",
                     *             "veo": "0190a000-0000-7000-8000-000000000002"
                     *           },
                     *           "default_variant": "kling",
                     *           "off_variant": "kling",
                     *           "rules": [
                     *             {
                     *               "platforms": [
                     *                 "ios"
                     *               ],
                     *               "app_versions": [
                     *                 ">=2.0.0"
                     *               ],
                     *               "split": [
                     *                 {
                     *                   "variant": "veo",
                     *                   "weight": 50
                     *                 },
                     *                 {
                     *                   "variant": "kling",
                     *                   "weight": 50
                     *                 }
                     *               ]
                     *             }
                     *           ],
                     *           "description": "Which model the app offers first",
                     *           "version": 3
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AdminFlags"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminFlags: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "key": "generation",
                 *       "is_enabled": true,
                 *       "reason": "The providers are well again"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeFlagRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "key": "generation",
                     *       "type": "boolean",
                     *       "is_enabled": true,
                     *       "is_switch": true,
                     *       "is_experiment": false,
                     *       "variants": {
                     *         "on": true,
                     *         "off": false
                     *       },
                     *       "default_variant": "on",
                     *       "off_variant": "off",
                     *       "rules": [],
                     *       "description": "Videos are accepted",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Flag"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminJobs: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example completed */
                status?: "pending" | "processing" | "completed" | "failed" | "cancelled";
                user_id?: string;
                model_id?: string;
                provider?: string;
                error_code?: string;
                job_id?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "jobs": [
                     *         {
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *           "status": "completed",
                     *           "stage": "done",
                     *           "model_id": "0190a000-0000-7000-8000-000000000001",
                     *           "model_name": "Kling 2.5 Turbo Pro",
                     *           "provider": "fal",
                     *           "error_code": null,
                     *           "credits_used": 4,
                     *           "created_at": "2026-11-21T11:58:30.000Z",
                     *           "started_at": "2026-11-21T11:58:40.000Z",
                     *           "completed_at": "2026-11-21T12:00:00.000Z",
                     *           "is_deleted": false
                     *         }
                     *       ],
                     *       "story": null,
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminJobsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminJobs: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                 *       "reason": "The user says that the video is not what was asked for"
                 *     }
                 */
                "application/json": components["schemas"]["PostAdminJobsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "prompt": "A red fox runs through fresh snow"
                     *     }
                     */
                    "application/json": components["schemas"]["PostAdminJobsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminLimits: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "policies": [
                     *         {
                     *           "policy": "video_generation",
                     *           "scope": "user",
                     *           "counts": "hits",
                     *           "max_hits": 10,
                     *           "window_seconds": 3600,
                     *           "on_failure": "closed",
                     *           "throttle_percent": 100,
                     *           "admits": 10
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminLimitsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminLimits: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "policy": "video_generation",
                 *       "max_hits": 20,
                 *       "reason": "A week of festivities"
                 *     }
                 */
                "application/json": components["schemas"]["PatchAdminLimitsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "policy": "video_generation",
                     *       "scope": "user",
                     *       "counts": "hits",
                     *       "max_hits": 20,
                     *       "window_seconds": 3600,
                     *       "on_failure": "closed",
                     *       "throttle_percent": 100,
                     *       "admits": 20
                     *     }
                     */
                    "application/json": components["schemas"]["Policy"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminModels: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "models": [
                     *         {
                     *           "id": "0190a000-0000-7000-8000-000000000001",
                     *           "name": "Kling 2.5 Turbo Pro",
                     *           "description": "Cinematic motion from a text, five seconds at a time.",
                     *           "category": "text_to_video",
                     *           "thumbnail_url": null,
                     *           "is_featured": true,
                     *           "requires_image": false,
                     *           "pricing": {
                     *             "type": "per_video",
                     *             "credits": 4
                     *           },
                     *           "options": {
                     *             "duration_seconds": {
                     *               "values": [
                     *                 5
                     *               ],
                     *               "default": 5
                     *             },
                     *             "resolution": {
                     *               "values": [
                     *                 "1080p"
                     *               ],
                     *               "default": "1080p"
                     *             },
                     *             "aspect_ratio": {
                     *               "values": [
                     *                 "16:9",
                     *                 "9:16",
                     *                 "1:1"
                     *               ],
                     *               "default": "16:9"
                     *             }
                     *           },
                     *           "inputs": [
                     *             {
                     *               "name": "negative_prompt",
                     *               "type": "text",
                     *               "max": 500
                     *             }
                     *           ],
                     *           "is_available": true,
                     *           "providers": [
                     *             {
                     *               "provider": "fal",
                     *               "is_enabled": true,
                     *               "breaker": "closed",
                     *               "cost_cents": 35
                     *             },
                     *             {
                     *               "provider": "replicate",
                     *               "is_enabled": true,
                     *               "breaker": "open",
                     *               "cost_cents": 35
                     *             }
                     *           ]
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AdminModelsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminModels: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "model_id": "0190a000-0000-7000-8000-000000000001",
                 *       "is_available": true,
                 *       "reason": "The provider is well again"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeModelRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0190a000-0000-7000-8000-000000000001",
                     *       "name": "Kling 2.5 Turbo Pro",
                     *       "description": "Cinematic motion from a text, five seconds at a time.",
                     *       "category": "text_to_video",
                     *       "thumbnail_url": null,
                     *       "is_featured": true,
                     *       "requires_image": false,
                     *       "pricing": {
                     *         "type": "per_video",
                     *         "credits": 4
                     *       },
                     *       "options": {
                     *         "duration_seconds": {
                     *           "values": [
                     *             5
                     *           ],
                     *           "default": 5
                     *         },
                     *         "resolution": {
                     *           "values": [
                     *             "1080p"
                     *           ],
                     *           "default": "1080p"
                     *         },
                     *         "aspect_ratio": {
                     *           "values": [
                     *             "16:9",
                     *             "9:16",
                     *             "1:1"
                     *           ],
                     *           "default": "16:9"
                     *         }
                     *       },
                     *       "inputs": [
                     *         {
                     *           "name": "negative_prompt",
                     *           "type": "text",
                     *           "max": 500
                     *         }
                     *       ],
                     *       "is_available": true
                     *     }
                     */
                    "application/json": components["schemas"]["ChangeModelResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4002"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminProducts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "products": [
                     *         {
                     *           "product_id": "credits_150",
                     *           "kind": "consumable",
                     *           "name": "150 credits",
                     *           "description": "Enough for a film festival.",
                     *           "credits": 150,
                     *           "trial_credits": 0,
                     *           "is_available": true,
                     *           "is_featured": false,
                     *           "position": 6
                     *         }
                     *       ],
                     *       "waiting": [
                     *         {
                     *           "transaction_id": "2000000123456789",
                     *           "environment": "production",
                     *           "product_id": "credits_300",
                     *           "kind": "consumable",
                     *           "quantity": 1,
                     *           "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *           "purchased_at": "2026-11-21T12:00:00.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ListProductsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminProducts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "product_id": "credits_150",
                 *       "kind": "consumable",
                 *       "name": "150 credits",
                 *       "description": "Enough for a film festival.",
                 *       "credits": 150,
                 *       "trial_credits": 0,
                 *       "is_available": true,
                 *       "is_featured": false,
                 *       "position": 6,
                 *       "reason": "The festival begins on Friday"
                 *     }
                 */
                "application/json": components["schemas"]["AddProductRequest"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "product_id": "credits_150",
                     *       "kind": "consumable",
                     *       "name": "150 credits",
                     *       "description": "Enough for a film festival.",
                     *       "credits": 150,
                     *       "trial_credits": 0,
                     *       "is_available": true,
                     *       "is_featured": false,
                     *       "position": 6
                     *     }
                     */
                    "application/json": components["schemas"]["AdminProduct"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminProducts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "product_id": "credits_150",
                 *       "is_available": false,
                 *       "reason": "The festival is over"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeProductRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "product_id": "credits_150",
                     *       "kind": "consumable",
                     *       "name": "150 credits",
                     *       "description": "Enough for a film festival.",
                     *       "credits": 150,
                     *       "trial_credits": 0,
                     *       "is_available": false,
                     *       "is_featured": false,
                     *       "position": 6
                     *     }
                     */
                    "application/json": components["schemas"]["AdminProduct"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminQueue: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example delete_files */
                kind?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "kinds": [
                     *         {
                     *           "kind": "delete_files",
                     *           "due": 2,
                     *           "running": 1,
                     *           "dead": 1,
                     *           "oldest_due_seconds": 3.2
                     *         }
                     *       ],
                     *       "tasks": [
                     *         {
                     *           "task_id": 4711,
                     *           "kind": "delete_files",
                     *           "subject": "0190a6f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
                     *           "owner_id": "8d2f5b1e-0c37-4a86-9a51-2f6f1f8f4c20",
                     *           "request_id": null,
                     *           "attempts": 10,
                     *           "last_error": "storage answered 503",
                     *           "run_at": "2026-11-21T12:00:00.000Z",
                     *           "failed_at": "2026-11-21T12:00:00.000Z",
                     *           "created_at": "2026-11-21T08:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminQueueResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminQueue: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "task_id": 4711,
                 *       "reason": "Storage is back"
                 *     }
                 */
                "application/json": components["schemas"]["PostAdminQueueRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "task": {
                     *         "task_id": 4711,
                     *         "kind": "delete_files",
                     *         "subject": "0190a6f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
                     *         "owner_id": "8d2f5b1e-0c37-4a86-9a51-2f6f1f8f4c20",
                     *         "request_id": null,
                     *         "attempts": 10,
                     *         "last_error": "storage answered 503",
                     *         "run_at": "2026-11-21T12:00:00.000Z",
                     *         "failed_at": null,
                     *         "created_at": "2026-11-21T08:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["PostAdminQueueResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminRefundCredits: {
        parameters: {
            query?: never;
            header: {
                /**
                 * @description One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; the outcome is kept for 24 hours in the scope of caller and endpoint
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key": components["parameters"]["IdempotencyKey"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                 *       "amount": 4,
                 *       "reason": "The video flickers from the first second on",
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21"
                 *     }
                 */
                "application/json": components["schemas"]["RefundCreditsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "transaction_id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77",
                     *       "new_balance": 10
                     *     }
                     */
                    "application/json": components["schemas"]["MovedCredits"];
                };
            };
            400: components["responses"]["ERR_4008_ERR_4010"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009_ERR_4012"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4011"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminReports: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example open */
                status?: "open" | "kept" | "removed" | "appealed" | "restored";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "cases": [
                     *         {
                     *           "case_id": "019ab3f2-7d20-7c55-8f31-6a2b9d0c4e17",
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "status": "open",
                     *           "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *           "has_prompt": true,
                     *           "video_path": "0e9c6a51-7b40-4c7d-8d9e-3f1b2a6c5d40/c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21/video.mp4",
                     *           "report_count": 0,
                     *           "notice_count": 1,
                     *           "ground": null,
                     *           "appeal": null,
                     *           "opened_at": "2026-11-21T12:30:00.000Z",
                     *           "due_at": "2026-11-23T12:30:00.000Z",
                     *           "decided_at": null,
                     *           "appealed_at": null,
                     *           "appeal_decided_at": null,
                     *           "reports": [],
                     *           "notices": [
                     *             {
                     *               "contact": "ada@example.com",
                     *               "statement": "This video shows my face, and I never agreed to it.",
                     *               "received_at": "2026-11-21T12:30:00.000Z"
                     *             }
                     *           ]
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminReportsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminReports: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "case_id": "019ab3f2-7d20-7c55-8f31-6a2b9d0c4e17",
                 *       "decision": "keep",
                 *       "reason": "The person in it is drawn, and nobody's likeness"
                 *     }
                 */
                "application/json": components["schemas"]["PatchAdminReportsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "case_id": "019ab3f2-7d20-7c55-8f31-6a2b9d0c4e17",
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "kept",
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "has_prompt": true,
                     *       "video_path": "0e9c6a51-7b40-4c7d-8d9e-3f1b2a6c5d40/c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21/video.mp4",
                     *       "report_count": 0,
                     *       "notice_count": 1,
                     *       "ground": null,
                     *       "appeal": null,
                     *       "opened_at": "2026-11-21T12:30:00.000Z",
                     *       "due_at": null,
                     *       "decided_at": "2026-11-21T13:05:00.000Z",
                     *       "appealed_at": null,
                     *       "appeal_decided_at": null,
                     *       "reports": [],
                     *       "notices": [
                     *         {
                     *           "contact": "ada@example.com",
                     *           "statement": "This video shows my face, and I never agreed to it.",
                     *           "received_at": "2026-11-21T12:30:00.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SafetyCase"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminSearch: {
        parameters: {
            query: {
                /** @example draft-7 */
                query: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "users": [],
                     *       "jobs": [
                     *         {
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *           "status": "completed",
                     *           "matched": "client_reference",
                     *           "created_at": "2026-11-21T11:58:30.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AdminSearchResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminStats: {
        parameters: {
            query: {
                /** @example hour */
                span: "hour" | "day" | "month";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "span": "hour",
                     *       "from": "2026-11-21T11:01:00.000Z",
                     *       "to": "2026-11-21T12:00:30.000Z",
                     *       "step_seconds": 60,
                     *       "series": [
                     *         {
                     *           "name": "jobs_accepted",
                     *           "labels": {},
                     *           "unit": "jobs",
                     *           "values": [
                     *             3,
                     *             0,
                     *             5
                     *           ]
                     *         },
                     *         {
                     *           "name": "completion_seconds",
                     *           "labels": {
                     *             "quantile": "0.5"
                     *           },
                     *           "unit": "seconds",
                     *           "values": [
                     *             71,
                     *             null,
                     *             64
                     *           ]
                     *         }
                     *       ],
                     *       "totals": [
                     *         {
                     *           "name": "jobs_accepted",
                     *           "labels": {},
                     *           "unit": "jobs",
                     *           "value": 8
                     *         },
                     *         {
                     *           "name": "completion_seconds",
                     *           "labels": {
                     *             "quantile": "0.5"
                     *           },
                     *           "unit": "seconds",
                     *           "value": 66
                     *         }
                     *       ],
                     *       "now": {
                     *         "due_tasks": 2,
                     *         "oldest_due_task_seconds": 1.5,
                     *         "dead_tasks": 0,
                     *         "jobs_running": 4,
                     *         "open_alerts": {
                     *           "warning": 1,
                     *           "critical": 0
                     *         },
                     *         "providers": [
                     *           {
                     *             "provider": "fal",
                     *             "is_enabled": true,
                     *             "breaker": "closed",
                     *             "spent_cents_today": 1240,
                     *             "cap_cents": 5000
                     *           }
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["GetAdminStatsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminUsers: {
        parameters: {
            query: {
                /** @example 5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10 */
                user_id: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *         "is_guest": true,
                     *         "email": null,
                     *         "display_name": "Ada",
                     *         "language": "tr",
                     *         "theme_preference": "system",
                     *         "credits_remaining": 10,
                     *         "created_at": "2026-11-21T11:58:00.000Z",
                     *         "is_banned": false,
                     *         "closed_at": null,
                     *         "merged_into": null
                     *       },
                     *       "guests": [],
                     *       "credits": {
                     *         "remaining": 10,
                     *         "held": 0,
                     *         "owed": 0
                     *       },
                     *       "jobs": {
                     *         "pending": 0,
                     *         "processing": 0,
                     *         "completed": 1,
                     *         "failed": 0,
                     *         "cancelled": 0
                     *       },
                     *       "legal_hold": null,
                     *       "erasure": null,
                     *       "recent_actions": [
                     *         {
                     *           "id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a78",
                     *           "action": "refund_credits",
                     *           "admin_id": "e2a6c1b0-8d34-4f0c-b7a1-52f3a9d0c864",
                     *           "amount": 4,
                     *           "reason": "The video flickers from the first second on",
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "created_at": "2026-11-21T12:10:00.000Z"
                     *         }
                     *       ],
                     *       "lots": [
                     *         {
                     *           "lot_id": 1042,
                     *           "amount": 10,
                     *           "remaining": 10,
                     *           "expires_at": null,
                     *           "is_sandbox": false
                     *         }
                     *       ],
                     *       "statement": [
                     *         {
                     *           "id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77",
                     *           "amount": 10,
                     *           "kind": "grant",
                     *           "balance_after": 10,
                     *           "job_id": null,
                     *           "created_at": "2026-11-21T11:58:00.000Z"
                     *         }
                     *       ],
                     *       "purchases": [],
                     *       "sessions": [
                     *         {
                     *           "created_at": "2026-11-21T11:58:00.000Z",
                     *           "last_used_at": "2026-11-21T11:58:00.000Z",
                     *           "user_agent": null
                     *         }
                     *       ],
                     *       "devices": {
                     *         "registered": 0,
                     *         "first_granted_at": "2026-11-21T11:58:10.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AdministeredUser"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminUsers: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                 *       "action": "ban",
                 *       "reason": "Sells videos of real people"
                 *     }
                 */
                "application/json": components["schemas"]["BanUserRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *         "is_guest": true,
                     *         "email": null,
                     *         "display_name": "Ada",
                     *         "language": "tr",
                     *         "theme_preference": "system",
                     *         "credits_remaining": 10,
                     *         "created_at": "2026-11-21T11:58:00.000Z",
                     *         "is_banned": true,
                     *         "closed_at": null,
                     *         "merged_into": null
                     *       },
                     *       "guests": [],
                     *       "credits": {
                     *         "remaining": 10,
                     *         "held": 0,
                     *         "owed": 0
                     *       },
                     *       "jobs": {
                     *         "pending": 0,
                     *         "processing": 0,
                     *         "completed": 1,
                     *         "failed": 0,
                     *         "cancelled": 0
                     *       },
                     *       "legal_hold": null,
                     *       "erasure": null,
                     *       "recent_actions": [
                     *         {
                     *           "id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a79",
                     *           "action": "ban",
                     *           "admin_id": "e2a6c1b0-8d34-4f0c-b7a1-52f3a9d0c864",
                     *           "amount": null,
                     *           "reason": "Sells videos of real people",
                     *           "job_id": null,
                     *           "created_at": "2026-11-21T12:20:00.000Z"
                     *         },
                     *         {
                     *           "id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a78",
                     *           "action": "refund_credits",
                     *           "admin_id": "e2a6c1b0-8d34-4f0c-b7a1-52f3a9d0c864",
                     *           "amount": 4,
                     *           "reason": "The video flickers from the first second on",
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "created_at": "2026-11-21T12:10:00.000Z"
                     *         }
                     *       ],
                     *       "lots": [
                     *         {
                     *           "lot_id": 1042,
                     *           "amount": 10,
                     *           "remaining": 10,
                     *           "expires_at": null,
                     *           "is_sandbox": false
                     *         }
                     *       ],
                     *       "statement": [
                     *         {
                     *           "id": "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77",
                     *           "amount": 10,
                     *           "kind": "grant",
                     *           "balance_after": 10,
                     *           "job_id": null,
                     *           "created_at": "2026-11-21T11:58:00.000Z"
                     *         }
                     *       ],
                     *       "purchases": [],
                     *       "sessions": [
                     *         {
                     *           "created_at": "2026-11-21T11:58:00.000Z",
                     *           "last_used_at": "2026-11-21T11:58:00.000Z",
                     *           "user_agent": null
                     *         }
                     *       ],
                     *       "devices": {
                     *         "registered": 0,
                     *         "first_granted_at": "2026-11-21T11:58:10.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AdministeredUser"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminWebhookDeliveries: {
        parameters: {
            query: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835 */
                webhook_id: string;
                /** @example delivered */
                status?: "pending" | "delivered" | "dropped" | "dead";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "deliveries": [
                     *         {
                     *           "delivery_id": "019ab3f2-8e30-7d66-b1c2-7b3ca0d1e528",
                     *           "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                     *           "event_id": "019ab3f2-8e30-7d65-a0b1-7b3ca0d1e527",
                     *           "type": "webhook.test",
                     *           "status": "delivered",
                     *           "attempts": 1,
                     *           "attempted_at": "2026-11-21T12:00:06.000Z",
                     *           "next_attempt_at": null,
                     *           "response": {
                     *             "status": 200,
                     *             "duration_ms": 84,
                     *             "text": "ok"
                     *           },
                     *           "reason": null,
                     *           "created_at": "2026-11-21T12:00:05.000Z",
                     *           "ended_at": "2026-11-21T12:00:06.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["WebhookDeliveriesResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminWebhookDeliveries: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                 *       "test": true
                 *     }
                 */
                "application/json": components["schemas"]["SendWebhookRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "delivery_id": "019ab3f2-8e30-7d66-b1c2-7b3ca0d1e528",
                     *       "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                     *       "event_id": "019ab3f2-8e30-7d65-a0b1-7b3ca0d1e527",
                     *       "type": "webhook.test",
                     *       "status": "pending",
                     *       "attempts": 0,
                     *       "attempted_at": null,
                     *       "next_attempt_at": "2026-11-21T12:00:05.000Z",
                     *       "response": null,
                     *       "reason": null,
                     *       "created_at": "2026-11-21T12:00:05.000Z",
                     *       "ended_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["WebhookDelivery"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getAdminWebhooks: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "webhooks": [
                     *         {
                     *           "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                     *           "url": "https://hooks.example.com/kinora",
                     *           "types": [
                     *             "video.completed",
                     *             "video.failed",
                     *             "alert.*"
                     *           ],
                     *           "is_enabled": true,
                     *           "disabled_reason": null,
                     *           "failing_since": null,
                     *           "created_at": "2026-11-21T12:00:00.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["WebhooksResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAdminWebhooks: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://hooks.example.com/kinora",
                 *       "types": [
                 *         "video.completed",
                 *         "video.failed",
                 *         "alert.*"
                 *       ],
                 *       "reason": "Our billing counts the videos"
                 *     }
                 */
                "application/json": components["schemas"]["CreateWebhookRequest"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                     *       "url": "https://hooks.example.com/kinora",
                     *       "types": [
                     *         "video.completed",
                     *         "video.failed",
                     *         "alert.*"
                     *       ],
                     *       "is_enabled": true,
                     *       "disabled_reason": null,
                     *       "failing_since": null,
                     *       "created_at": "2026-11-21T12:00:00.000Z",
                     *       "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
                     *     }
                     */
                    "application/json": components["schemas"]["WebhookWithSecret"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    deleteAdminWebhooks: {
        parameters: {
            query: {
                /** @example b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835 */
                webhook_id: string;
                /** @example Its server is gone */
                reason: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchAdminWebhooks: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                 *       "rotate_secret": true,
                 *       "reason": "The secret was in a log"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeWebhookRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "webhook_id": "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
                     *       "url": "https://hooks.example.com/kinora",
                     *       "types": [
                     *         "video.completed",
                     *         "video.failed",
                     *         "alert.*"
                     *       ],
                     *       "is_enabled": true,
                     *       "disabled_reason": null,
                     *       "failing_since": null,
                     *       "created_at": "2026-11-21T12:00:00.000Z",
                     *       "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
                     *     }
                     */
                    "application/json": components["schemas"]["ChangeWebhookResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postAppStoreNotifications: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "signedPayload": "eyJhbGciOiJFUzI1NiJ9.eyJub3RpZmljYXRpb25UeXBlIjoiVEVTVCJ9.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": unknown;
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "received": true
                     *     }
                     */
                    "application/json": components["schemas"]["AppStoreNotificationsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postAppeals: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                 *       "statement": "The person in it is me"
                 *     }
                 */
                "application/json": components["schemas"]["AppealsRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "appealed"
                     *     }
                     */
                    "application/json": components["schemas"]["Appeal"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postAppleIdentityNotifications: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "payload": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FwcGxlaWQuYXBwbGUuY29tIn0.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": unknown;
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "received": true
                     *     }
                     */
                    "application/json": components["schemas"]["AppleIdentityNotificationsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postCancelVideo: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21"
                 *     }
                 */
                "application/json": components["schemas"]["CancelVideoRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "cancelled",
                     *       "prompt": "A red fox runs through fresh snow",
                     *       "model_id": "0190a000-0000-7000-8000-000000000001",
                     *       "model_name": "Kling 2.5 Turbo Pro",
                     *       "settings": {
                     *         "duration_seconds": 5,
                     *         "resolution": "1080p",
                     *         "aspect_ratio": "16:9"
                     *       },
                     *       "credits_used": 0,
                     *       "video_url": null,
                     *       "video_url_expires_at": null,
                     *       "thumbnail_url": null,
                     *       "error": null,
                     *       "client_reference": "draft-7",
                     *       "project_id": null,
                     *       "cancel_requested_at": "2026-11-21T11:58:40.000Z",
                     *       "created_at": "2026-11-21T11:58:30.000Z",
                     *       "completed_at": "2026-11-21T11:58:40.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "processing",
                     *       "prompt": "A red fox runs through fresh snow",
                     *       "model_id": "0190a000-0000-7000-8000-000000000001",
                     *       "model_name": "Kling 2.5 Turbo Pro",
                     *       "settings": {
                     *         "duration_seconds": 5,
                     *         "resolution": "1080p",
                     *         "aspect_ratio": "16:9"
                     *       },
                     *       "credits_used": 4,
                     *       "video_url": null,
                     *       "video_url_expires_at": null,
                     *       "thumbnail_url": null,
                     *       "error": null,
                     *       "client_reference": "draft-7",
                     *       "project_id": null,
                     *       "cancel_requested_at": "2026-11-21T11:58:40.000Z",
                     *       "created_at": "2026-11-21T11:58:30.000Z",
                     *       "completed_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getCredits: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "credits_remaining": 6,
                     *       "credits_held": 4,
                     *       "credits_owed": 0,
                     *       "expiring": [],
                     *       "transactions": [
                     *         {
                     *           "id": "0190a000-0000-7000-8000-0000000000a2",
                     *           "amount": -4,
                     *           "kind": "hold",
                     *           "balance_after": 6,
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "created_at": "2026-11-21T11:58:30.000Z"
                     *         },
                     *         {
                     *           "id": "0190a000-0000-7000-8000-0000000000a1",
                     *           "amount": 10,
                     *           "kind": "grant",
                     *           "balance_after": 10,
                     *           "job_id": null,
                     *           "created_at": "2026-11-21T11:58:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["CreditsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deleteDeleteVideoJob: {
        parameters: {
            query: {
                /** @example c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21 */
                job_id: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postDeviceCheck: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "device_token": "AgAAAGFwcGxlIGRldmljZSB0b2tlbg=="
                 *     }
                 */
                "application/json": components["schemas"]["DeviceCheckRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "app_account_token": "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "credits_remaining": 10,
                     *       "is_new": true,
                     *       "initial_grant": {
                     *         "status": "granted",
                     *         "credits": 10
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DeviceCheckResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4015_ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postFlags: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The ETag of the answer that the caller has
                 * @example "42"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "context": {
                 *         "targetingKey": "ignored",
                 *         "app_version": "2.1.0",
                 *         "platform": "ios",
                 *         "locale": "tr"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["FlagsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "flags": [
                     *         {
                     *           "key": "generation",
                     *           "reason": "STATIC",
                     *           "variant": "on",
                     *           "value": true
                     *         },
                     *         {
                     *           "key": "video_model",
                     *           "reason": "SPLIT",
                     *           "variant": "veo",
                     *           "value": "0190a000-0000-7000-8000-000000000002"
                     *         },
                     *         {
                     *           "key": "new_editor",
                     *           "reason": "UNKNOWN",
                     *           "variant": "off",
                     *           "value": false,
                     *           "metadata": {
                     *             "reason": "DEFAULT"
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["EvaluatedFlags"];
                };
            };
            /** @description Unchanged since the answer that the caller has */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postFlagsByKey: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @example generation */
                key: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "context": {
                 *         "targetingKey": "ignored",
                 *         "app_version": "2.1.0",
                 *         "platform": "ios",
                 *         "locale": "tr"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["FlagsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "key": "generation",
                     *       "reason": "STATIC",
                     *       "variant": "on",
                     *       "value": true
                     *     }
                     */
                    "application/json": components["schemas"]["EvaluatedFlag"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postGenerateVideo: {
        parameters: {
            query?: never;
            header: {
                /**
                 * @description One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; the outcome is kept for 24 hours in the scope of caller and endpoint
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key": components["parameters"]["IdempotencyKey"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "model_id": "0190a000-0000-7000-8000-000000000001",
                 *       "prompt": "A red fox runs through fresh snow",
                 *       "settings": {
                 *         "aspect_ratio": "9:16"
                 *       },
                 *       "client_reference": "draft-7"
                 *     }
                 */
                "application/json": components["schemas"]["GenerateVideoRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    /**
                     * @description Where to watch the job
                     * @example https://project.supabase.co/functions/v1/video-status?job_id=c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21
                     */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "pending",
                     *       "credits_used": 4,
                     *       "credits_remaining": 6,
                     *       "created_at": "2026-11-21T11:58:30.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["AcceptedVideo"];
                };
            };
            400: components["responses"]["ERR_4008_ERR_4010"];
            401: components["responses"]["ERR_4005"];
            402: components["responses"]["ERR_4001"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009_ERR_4012_ERR_4021"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4002_ERR_4003_ERR_4011"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postGenerateVideos: {
        parameters: {
            query?: never;
            header: {
                /**
                 * @description One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; the outcome is kept for 24 hours in the scope of caller and endpoint
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key": components["parameters"]["IdempotencyKey"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "mode": "any",
                 *       "items": [
                 *         {
                 *           "model_id": "0190a000-0000-7000-8000-000000000001",
                 *           "prompt": "A red fox runs through fresh snow"
                 *         },
                 *         {
                 *           "model_id": "0190a000-0000-7000-8000-000000000001",
                 *           "prompt": "The fox looks up"
                 *         }
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["GenerateVideosRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "results": [
                     *         {
                     *           "index": 0,
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "credits_used": 4
                     *         },
                     *         {
                     *           "index": 1,
                     *           "error": {
                     *             "code": "ERR_4001",
                     *             "message": "You do not have enough credits: this costs 4, and your balance is 2.",
                     *             "details": {
                     *               "required": 4,
                     *               "available": 2
                     *             }
                     *           }
                     *         }
                     *       ],
                     *       "credits_used": 4,
                     *       "credits_remaining": 2
                     *     }
                     */
                    "application/json": components["schemas"]["GenerateVideosResponse"];
                };
            };
            400: components["responses"]["ERR_4008_ERR_4010"];
            401: components["responses"]["ERR_4005"];
            402: components["responses"]["ERR_4001"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009_ERR_4012_ERR_4021"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4002_ERR_4003_ERR_4011"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "healthy",
                     *       "checks": {
                     *         "database": {
                     *           "ok": true,
                     *           "duration_ms": 4
                     *         },
                     *         "storage": {
                     *           "ok": true,
                     *           "duration_ms": 11
                     *         },
                     *         "tick": {
                     *           "ok": true,
                     *           "duration_ms": 4
                     *         },
                     *         "incidents": {
                     *           "ok": true,
                     *           "duration_ms": 4,
                     *           "away": []
                     *         },
                     *         "queue": {
                     *           "ok": true,
                     *           "duration_ms": 4
                     *         },
                     *         "providers": {
                     *           "ok": true,
                     *           "duration_ms": 4
                     *         },
                     *         "apple": {
                     *           "ok": true,
                     *           "duration_ms": 130
                     *         },
                     *         "client_address": {
                     *           "ok": true,
                     *           "duration_ms": 0
                     *         },
                     *         "platform": {
                     *           "ok": true,
                     *           "duration_ms": 4,
                     *           "missing": [],
                     *           "invalid": []
                     *         }
                     *       },
                     *       "version": "1"
                     *     }
                     */
                    "application/json": components["schemas"]["HealthResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            /** @description `ERR_6001` database/unavailable */
            503: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"] | components["schemas"]["HealthResponse"];
                };
            };
        };
    };
    postMergeGuest: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "guest_token": "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": components["schemas"]["MergeGuestRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "merged_user_id": "0b8a5c2e-7d14-4a0f-8b6e-2c9d1f3e5a77",
                     *       "credits_moved": 6,
                     *       "jobs_moved": 1,
                     *       "credits_remaining": 16
                     *     }
                     */
                    "application/json": components["schemas"]["MergedGuest"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4006_ERR_4017"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example # HELP kinora_requests_total Requests that were answered
                     *     # TYPE kinora_requests_total counter
                     *     kinora_requests_total{code="none",endpoint="models",status="200"} 12
                     */
                    "text/plain; version=0.0.4; charset=utf-8": components["schemas"]["MetricsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getModels: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The ETag of the answer that the caller has
                 * @example "42"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    /**
                     * @description Whether and for how long the answer may be kept
                     * @example private, max-age=60, stale-if-error=3600
                     */
                    "Cache-Control"?: string;
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    Age: components["headers"]["Age"];
                    "Cache-Status": components["headers"]["CacheStatus"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "models": [
                     *         {
                     *           "id": "0190a000-0000-7000-8000-000000000001",
                     *           "name": "Kling 2.5 Turbo Pro",
                     *           "description": "Cinematic motion from a text, five seconds at a time.",
                     *           "category": "text_to_video",
                     *           "thumbnail_url": null,
                     *           "is_featured": true,
                     *           "requires_image": false,
                     *           "processed_by": [
                     *             "fal",
                     *             "openai"
                     *           ],
                     *           "pricing": {
                     *             "type": "per_video",
                     *             "credits": 4
                     *           },
                     *           "options": {
                     *             "duration_seconds": {
                     *               "values": [
                     *                 5
                     *               ],
                     *               "default": 5
                     *             },
                     *             "resolution": {
                     *               "values": [
                     *                 "1080p"
                     *               ],
                     *               "default": "1080p"
                     *             },
                     *             "aspect_ratio": {
                     *               "values": [
                     *                 "16:9",
                     *                 "9:16",
                     *                 "1:1"
                     *               ],
                     *               "default": "16:9"
                     *             }
                     *           },
                     *           "inputs": [
                     *             {
                     *               "name": "negative_prompt",
                     *               "type": "text",
                     *               "max": 500
                     *             }
                     *           ]
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ModelsResponse"];
                };
            };
            /** @description Unchanged since the answer that the caller has */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    /**
                     * @description Whether and for how long the answer may be kept
                     * @example private, max-age=60, stale-if-error=3600
                     */
                    "Cache-Control"?: string;
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    Age: components["headers"]["Age"];
                    "Cache-Status": components["headers"]["CacheStatus"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getNotifications: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                unread?: "true" | "false";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "notifications": [
                     *         {
                     *           "id": "0197a3c1-5b2e-7c40-8f13-6d9be0a4c752",
                     *           "type": "video.completed",
                     *           "data": {
                     *             "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *             "status": "completed",
                     *             "model_id": "0190a000-0000-7000-8000-000000000001",
                     *             "model_name": "Kling 2.5 Turbo Pro",
                     *             "settings": {
                     *               "duration_seconds": 5,
                     *               "resolution": "1080p",
                     *               "aspect_ratio": "16:9"
                     *             },
                     *             "credits_used": 4,
                     *             "error": null,
                     *             "client_reference": "draft-7",
                     *             "project_id": null,
                     *             "cancel_requested_at": null,
                     *             "created_at": "2026-11-21T11:58:30.000Z",
                     *             "completed_at": "2026-11-21T12:00:00.000Z"
                     *           },
                     *           "read_at": null,
                     *           "created_at": "2026-11-21T12:01:31.000Z",
                     *           "title": "Your video is ready",
                     *           "body": "The video that you made with Kling 2.5 Turbo Pro is ready to watch."
                     *         }
                     *       ],
                     *       "unread": 1,
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["NotificationsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchNotifications: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "ids": [
                 *         "0197a3c1-5b2e-7c40-8f13-6d9be0a4c752"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["MarkReadRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "unread": 0
                     *     }
                     */
                    "application/json": components["schemas"]["Unread"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postProcessJobs: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "accepted": true
                     *     }
                     */
                    "application/json": components["schemas"]["ProcessJobsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getProducts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The ETag of the answer that the caller has
                 * @example "42"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    /**
                     * @description Whether and for how long the answer may be kept
                     * @example private, max-age=60, stale-if-error=3600
                     */
                    "Cache-Control"?: string;
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    Age: components["headers"]["Age"];
                    "Cache-Status": components["headers"]["CacheStatus"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "products": [
                     *         {
                     *           "product_id": "credits_30",
                     *           "kind": "consumable",
                     *           "name": "30 credits",
                     *           "description": "Seven videos of the cheapest model.",
                     *           "credits": 30,
                     *           "is_featured": true
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ProductsResponse"];
                };
            };
            /** @description Unchanged since the answer that the caller has */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    /**
                     * @description Whether and for how long the answer may be kept
                     * @example private, max-age=60, stale-if-error=3600
                     */
                    "Cache-Control"?: string;
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    ETag: components["headers"]["ETag"];
                    Age: components["headers"]["Age"];
                    "Cache-Status": components["headers"]["CacheStatus"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getProjects: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "projects": [
                     *         {
                     *           "project_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "name": "Winter campaign",
                     *           "job_count": 1,
                     *           "created_at": "2026-11-21T11:50:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["ProjectsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postProjects: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Winter campaign"
                 *     }
                 */
                "application/json": components["schemas"]["CreateProjectRequest"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "project_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "name": "Winter campaign",
                     *       "job_count": 0,
                     *       "created_at": "2026-11-21T11:50:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deleteProjects: {
        parameters: {
            query: {
                /** @example 7c9e6679-7425-40de-944b-e07fc1f90ae7 */
                project_id: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchProjects: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "project_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                 *       "name": "Winter campaign"
                 *     }
                 */
                "application/json": components["schemas"]["RenameProjectRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "project_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "name": "Winter campaign",
                     *       "job_count": 1,
                     *       "created_at": "2026-11-21T11:50:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postProviderWebhook: {
        parameters: {
            query: {
                /** @example 0b9f4c1e-5d3a-4a57-9d0e-7b1f0e6f2a11 */
                owner: string;
                /** @example fal */
                provider: string;
                /** @example 7d3f0f5e-0c55-4f0a-a1b5-1f7f0a9d2c44 */
                submission_id: string;
                /** @example 3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs */
                token: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
                 *       "status": "OK",
                 *       "payload": {}
                 *     }
                 */
                "application/json": unknown;
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "received": true
                     *     }
                     */
                    "application/json": components["schemas"]["ProviderWebhookResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getPurchases: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "purchases": [
                     *         {
                     *           "transaction_id": "2000000900000001",
                     *           "product_id": "credits_30",
                     *           "status": "credited",
                     *           "credits_added": 30,
                     *           "purchased_at": "2026-11-21T12:10:00.000Z",
                     *           "expires_at": null
                     *         }
                     *       ],
                     *       "subscription": {
                     *         "product_id": "com.example.kinora.plus",
                     *         "status": "active",
                     *         "renews_at": "2026-12-21T12:10:00.000Z",
                     *         "expires_at": "2026-12-21T12:10:00.000Z"
                     *       },
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["PurchasesResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postPurchases: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "signed_transaction": "eyJhbGciOiJFUzI1NiJ9.eyJ0eXBlIjoiQ29uc3VtYWJsZSJ9.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": components["schemas"]["PresentPurchaseRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "transaction_id": "2000000900000001",
                     *       "product_id": "credits_30",
                     *       "status": "credited",
                     *       "credits_added": 30,
                     *       "credits_remaining": 36,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["CreditedPurchase"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4016"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postPushTokens: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad",
                 *       "environment": "production"
                 *     }
                 */
                "application/json": components["schemas"]["PushTokensRequest"];
            };
        };
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deletePushTokens: {
        parameters: {
            query: {
                /** @example 740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad */
                token: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postRecoverGuest: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "signed_app_transaction": "eyJhbGciOiJFUzI1NiIsIng1YyI6W119.eyJyZWNlaXB0VHlwZSI6IlByb2R1Y3Rpb24ifQ.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": components["schemas"]["RecoverGuestRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "merged_user_id": "0b8a5c2e-7d14-4a0f-8b6e-2c9d1f3e5a77",
                     *       "credits_moved": 6,
                     *       "jobs_moved": 1,
                     *       "credits_remaining": 6
                     *     }
                     */
                    "application/json": components["schemas"]["MergedGuest"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4016"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001_ERR_6004"];
        };
    };
    postReports: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                 *       "reason": "real_person",
                 *       "details": "This is my neighbour"
                 *     }
                 */
                "application/json": components["schemas"]["ReportsRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "report_id": "019ab3f2-7c10-7b44-9e20-5b1a8c9d3f06",
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "reason": "real_person",
                     *       "created_at": "2026-11-21T12:25:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Report"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getSessions: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sessions": [
                     *         {
                     *           "id": "6f1d2c3b-4a59-4687-9a0b-1c2d3e4f5a6b",
                     *           "created_at": "2026-11-20T09:00:00.000Z",
                     *           "last_used_at": "2026-11-21T11:58:00.000Z",
                     *           "is_current": true
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["GetSessionsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deleteSessions: {
        parameters: {
            query?: {
                session_id?: string;
                /** @example true */
                others?: "true";
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ended": 2
                     *     }
                     */
                    "application/json": components["schemas"]["DeleteSessionsResponse"];
                };
            };
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postTakedownNotices: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                 *       "contact": "ada@example.com",
                 *       "statement": "This video shows my face, and I never agreed to it."
                 *     }
                 */
                "application/json": components["schemas"]["TakedownNoticesRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "notice_id": "019ab3f2-7d20-7c56-a1b2-6a2b9d0c4e18",
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "received_at": "2026-11-21T12:30:00.000Z",
                     *       "due_at": "2026-11-23T12:30:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["TakedownNotice"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getUploads: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                project_id?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "uploads": [
                     *         {
                     *           "upload_id": "7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03",
                     *           "status": "ready",
                     *           "content_type": "image/png",
                     *           "bytes": 1873402,
                     *           "width": 3024,
                     *           "height": 4032,
                     *           "project_id": null,
                     *           "created_at": "2026-11-21T11:57:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["GetUploadsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postUploads: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "content_type": "image/png",
                 *       "bytes": 1873402
                 *     }
                 */
                "application/json": components["schemas"]["PostUploadsRequest"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "upload_id": "7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03",
                     *       "status": "pending",
                     *       "upload_url": "https://project.supabase.co/storage/v1/object/upload/sign/uploads/b1/7d/incoming?token=eyJhbGciOiJFUzI1NiJ9",
                     *       "expires_at": "2026-11-21T13:57:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["PostUploadsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009_ERR_4020"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6002_ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deleteUploads: {
        parameters: {
            query: {
                /** @example 7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03 */
                upload_id: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            409: components["responses"]["ERR_4009"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchUploads: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "upload_id": "7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03",
                 *       "status": "completed"
                 *     }
                 */
                "application/json": components["schemas"]["PatchUploadsRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "upload_id": "7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03",
                     *       "status": "ready",
                     *       "content_type": "image/png",
                     *       "bytes": 1873402,
                     *       "width": 3024,
                     *       "height": 4032,
                     *       "project_id": null,
                     *       "created_at": "2026-11-21T11:57:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Upload"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            422: components["responses"]["ERR_4019"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6002_ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    postUserExport: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "pending",
                     *       "requested_at": "2026-11-21T12:20:00.000Z",
                     *       "url": null,
                     *       "bytes": null,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["AccountExport"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getUserProfile: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "is_guest": true,
                     *       "display_name": null,
                     *       "language": null,
                     *       "theme_preference": "system",
                     *       "credits_remaining": 6,
                     *       "app_account_token": "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "shares_consumption": false,
                     *       "accepted_processors": [],
                     *       "notification_preferences": {
                     *         "video.completed": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "video.failed": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "purchase.credited": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "purchase.refunded": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "account.merged": {
                     *           "inbox": true
                     *         }
                     *       },
                     *       "created_at": "2026-11-21T11:58:00.000Z",
                     *       "subscription": null,
                     *       "export": null
                     *     }
                     */
                    "application/json": components["schemas"]["Profile"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    deleteUserProfile: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "apple_authorization_code": "c1f0e7a9d3b84c6f8a2e5b7d90c1f3a46.0.mrtz.Xk3vN8qLw2PyT5sBdR7hGQ"
                 *     }
                 */
                "application/json": components["schemas"]["CloseAccountRequest"];
            };
        };
        responses: {
            /** @description Accepted; the work goes on */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "closed_at": "2026-11-21T12:30:00.000Z",
                     *       "subscription": {
                     *         "product_id": "com.example.kinora.plus",
                     *         "status": "active",
                     *         "renews_at": "2026-12-14T09:30:00.000Z",
                     *         "expires_at": "2026-12-14T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["ClosedAccount"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    patchUserProfile: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "display_name": "Ada",
                 *       "theme_preference": "dark"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateUserProfileRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user_id": "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "is_guest": true,
                     *       "display_name": "Ada",
                     *       "language": null,
                     *       "theme_preference": "dark",
                     *       "credits_remaining": 6,
                     *       "app_account_token": "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
                     *       "shares_consumption": false,
                     *       "accepted_processors": [],
                     *       "notification_preferences": {
                     *         "video.completed": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "video.failed": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "purchase.credited": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "purchase.refunded": {
                     *           "inbox": true,
                     *           "push": true
                     *         },
                     *         "account.merged": {
                     *           "inbox": true
                     *         }
                     *       },
                     *       "created_at": "2026-11-21T11:58:00.000Z",
                     *       "subscription": null,
                     *       "export": null
                     *     }
                     */
                    "application/json": components["schemas"]["Profile"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            413: components["responses"]["ERR_4013"];
            415: components["responses"]["ERR_4018"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getVideoJobs: {
        parameters: {
            query?: {
                /** @example 10 */
                limit?: number;
                cursor?: string;
                /** @example completed */
                status?: "pending" | "processing" | "completed" | "failed" | "cancelled";
                client_reference?: string;
                project_id?: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "jobs": [
                     *         {
                     *           "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *           "status": "completed",
                     *           "prompt": "A red fox runs through fresh snow",
                     *           "model_id": "0190a000-0000-7000-8000-000000000001",
                     *           "model_name": "Kling 2.5 Turbo Pro",
                     *           "settings": {
                     *             "duration_seconds": 5,
                     *             "resolution": "1080p",
                     *             "aspect_ratio": "16:9"
                     *           },
                     *           "credits_used": 4,
                     *           "video_url": "https://project.supabase.co/storage/v1/object/sign/videos/c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21/video.mp4?token=eyJhbGciOiJFUzI1NiJ9",
                     *           "video_url_expires_at": "2026-11-21T13:00:00.000Z",
                     *           "thumbnail_url": null,
                     *           "error": null,
                     *           "client_reference": "draft-7",
                     *           "project_id": null,
                     *           "cancel_requested_at": null,
                     *           "created_at": "2026-11-21T11:58:30.000Z",
                     *           "completed_at": "2026-11-21T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["VideoJobsResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6002_ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
    getVideoStatus: {
        parameters: {
            query: {
                /** @example c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21 */
                job_id: string;
            };
            header?: {
                /**
                 * @description Preferred languages with weights, among en, tr, es
                 * @example tr-TR, en;q=0.5
                 */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
                /**
                 * @description Names the request in answers and logs; a new one is made where this is absent or malformed
                 * @example 0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11
                 */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    "Content-Language": components["headers"]["ContentLanguage"];
                    "Cache-Control": components["headers"]["CacheControl"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    RateLimit: components["headers"]["RateLimit"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "job_id": "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
                     *       "status": "completed",
                     *       "prompt": "A red fox runs through fresh snow",
                     *       "model_id": "0190a000-0000-7000-8000-000000000001",
                     *       "model_name": "Kling 2.5 Turbo Pro",
                     *       "settings": {
                     *         "duration_seconds": 5,
                     *         "resolution": "1080p",
                     *         "aspect_ratio": "16:9"
                     *       },
                     *       "credits_used": 4,
                     *       "video_url": "https://project.supabase.co/storage/v1/object/sign/videos/c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21/video.mp4?token=eyJhbGciOiJFUzI1NiJ9",
                     *       "video_url_expires_at": "2026-11-21T13:00:00.000Z",
                     *       "thumbnail_url": null,
                     *       "error": null,
                     *       "client_reference": "draft-7",
                     *       "project_id": null,
                     *       "cancel_requested_at": null,
                     *       "created_at": "2026-11-21T11:58:30.000Z",
                     *       "completed_at": "2026-11-21T12:00:00.000Z",
                     *       "progress": {
                     *         "stage": "done",
                     *         "percent": 100
                     *       },
                     *       "next_poll_seconds": null
                     *     }
                     */
                    "application/json": components["schemas"]["VideoStatusResponse"];
                };
            };
            400: components["responses"]["ERR_4008"];
            401: components["responses"]["ERR_4005"];
            403: components["responses"]["ERR_4017"];
            404: components["responses"]["ERR_4007"];
            429: components["responses"]["ERR_4004"];
            500: components["responses"]["ERR_6002_ERR_6003"];
            503: components["responses"]["ERR_6001"];
        };
    };
}
