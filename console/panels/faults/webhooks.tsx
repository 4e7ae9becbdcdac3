/** The servers that are told what happens. */
import type { components } from "@kinora/client/admin";
import { useSignal } from "@preact/signals";
import { Act } from "../../parts/act.tsx";
import { Change } from "../../parts/change.tsx";
import { changed, CheckField, FieldGroup, TextField, textOf } from "../../parts/fields.tsx";
import { Status, Time } from "../../parts/figures.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel, Part } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";
import { href, route } from "../../shell/route.ts";
import { Deliveries } from "./deliveries.tsx";

type Webhook = components["schemas"]["Webhook"];
type Pattern = components["schemas"]["EventPattern"];

/** Every pattern there is, by what it hears. */
const patterns: Readonly<Record<Pattern, string>> = {
  "#": "everything",
  "video.*": "video.*",
  "video.submitted": "video.submitted",
  "video.started": "video.started",
  "video.progressed": "video.progressed",
  "video.completed": "video.completed",
  "video.failed": "video.failed",
  "video.cancelled": "video.cancelled",
  "credits.*": "credits.*",
  "credits.changed": "credits.changed",
  "purchase.*": "purchase.*",
  "purchase.credited": "purchase.credited",
  "purchase.refunded": "purchase.refunded",
  "account.*": "account.*",
  "account.closed": "account.closed",
  "account.merged": "account.merged",
  "alert.*": "alert.*",
  "alert.raised": "alert.raised",
  "alert.resolved": "alert.resolved",
  "alert.acknowledged": "alert.acknowledged",
  "report.*": "report.*",
  "report.made": "report.made",
  "webhook.*": "webhook.*",
  "webhook.test": "webhook.test",
};
const inOrder = (types: readonly unknown[]) =>
  (Object.keys(patterns) as Pattern[]).filter((pattern) => types.includes(pattern));

/** Of the webhook that was just given one. */
interface Secret {
  readonly url: string;
  readonly secret: string;
}

export function Webhooks() {
  const loaded = useLoaded((signal) => call("GET", "admin-webhooks", {}, { signal }));
  const secret = useSignal<Secret | null>(null);
  const { webhook_id: chosen } = route.value.chosen;
  const keep = (given: Secret) => void (secret.value = given);
  return (
    <>
      {secret.value && <ShownOnce {...secret.value} close={() => secret.value = null} />}
      <Panel
        title="Servers that are told"
        loaded={loaded}
        empty={{ when: ({ webhooks }) => webhooks.length === 0, say: "No server is told anything." }}
        controls={<CreateWebhook given={keep} done={loaded.reload} />}
      >
        {({ webhooks }) => (
          <Table
            caption="Servers that are told"
            rows={webhooks}
            rowKey={({ webhook_id }) => webhook_id}
            columns={[
              { title: "Server", cell: ({ url }) => url },
              { title: "Hears", cell: ({ types }) => types.join(", ") },
              { title: "Now", cell: (webhook) => <State {...webhook} /> },
              { title: "Made", cell: ({ created_at }) => <Time at={created_at} /> },
              {
                title: "Change",
                cell: (webhook) => <Changes webhook={webhook} done={loaded.reload} given={keep} />,
              },
            ]}
          />
        )}
      </Panel>
      {chosen !== undefined && (
        <Deliveries
          webhookId={chosen}
          url={loaded.value?.webhooks.find(({ webhook_id }) => webhook_id === chosen)?.url}
        />
      )}
    </>
  );
}

function State({ is_enabled, disabled_reason, failing_since }: Webhook) {
  if (!is_enabled) return <Status tone="odd">stopped: {disabled_reason}</Status>;
  return failing_since === null ? <Status tone="good">told</Status> : (
    <Status tone="bad">
      fails since <Time at={failing_since} />
    </Status>
  );
}

function ShownOnce({ url, secret, close }: Secret & { close: () => void }) {
  return (
    <Part
      title="The secret of the webhook"
      controls={<button type="button" onClick={close}>I have it</button>}
    >
      <p>
        The server <span class="long">{url}</span> verifies with it what it is told. It is shown this once.
      </p>
      <p>
        <code class="long">{secret}</code>
      </p>
    </Part>
  );
}

function Changes({ webhook, done, given }: {
  webhook: Webhook;
  done: () => void;
  given: (secret: Secret) => void;
}) {
  const { webhook_id, url, is_enabled } = webhook;
  return (
    <div class="choices">
      <a href={href("webhooks", { webhook_id })} aria-label={`Deliveries to ${url}`}>Deliveries</a>
      {is_enabled && (
        <Act
          label="Test"
          title={`Send a test to ${url}`}
          run={async () => {
            await call("POST", "admin-webhook-deliveries", { body: { webhook_id, test: true } });
            return `A test is on its way to ${url}.`;
          }}
        />
      )}
      <Change
        label="Change"
        title={`Change the webhook ${url}`}
        run={async ({ reason, form }) => {
          await call("PATCH", "admin-webhooks", {
            body: {
              webhook_id,
              url: changed(url, textOf(form, "url")),
              types: changed(inOrder(webhook.types), inOrder(form.getAll("types"))),
              is_enabled: changed(is_enabled, form.has("is_enabled")),
              reason,
            },
          });
          return `The webhook ${url} is changed.`;
        }}
        changed={done}
      >
        <WebhookFields url={url} types={webhook.types} />
        <CheckField label="Told" name="is_enabled" value={is_enabled} />
      </Change>
      <Change
        label="New secret"
        title={`Give the webhook ${url} a new secret`}
        run={async ({ reason }) => {
          const { secret } = await call("PATCH", "admin-webhooks", {
            body: { webhook_id, rotate_secret: true, reason },
          });
          if (secret !== undefined) given({ url, secret });
          return `The webhook ${url} has a new secret.`;
        }}
        changed={done}
      >
        <p>For another 24 hours messages are signed by the one before, too.</p>
      </Change>
      <Change
        label="Delete"
        title={`Delete the webhook ${url}`}
        run={async ({ reason }) => {
          await call("DELETE", "admin-webhooks", { query: { webhook_id, reason } });
          return `The webhook ${url} is deleted.`;
        }}
        changed={done}
      >
        <p>What waits for it is told to nobody.</p>
      </Change>
    </div>
  );
}

function CreateWebhook({ given, done }: { given: (secret: Secret) => void; done: () => void }) {
  return (
    <Change
      label="Create"
      title="Create a webhook"
      run={async ({ reason, form }) => {
        const { url, secret } = await call("POST", "admin-webhooks", {
          body: { url: textOf(form, "url"), types: inOrder(form.getAll("types")), reason },
        });
        given({ url, secret });
        return `The webhook ${url} is created.`;
      }}
      changed={done}
    >
      <WebhookFields url="" types={[]} />
    </Change>
  );
}

function WebhookFields({ url, types }: { url: string; types: readonly string[] }) {
  return (
    <>
      <TextField label="URL" name="url" value={url} />
      <FieldGroup legend="Hears">
        {Object.entries(patterns).map(([pattern, title]) => (
          <label key={pattern}>
            <input type="checkbox" name="types" value={pattern} defaultChecked={types.includes(pattern)} />
            {title}
          </label>
        ))}
      </FieldGroup>
    </>
  );
}
