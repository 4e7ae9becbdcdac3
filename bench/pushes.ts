/** How many pushes a second reach the simulated Apple, one user and one device each, through the whole backend. */
import { withConnection } from "../local/postgres/database.ts";
import { newPushToken } from "../local/simulators/apns/apns.ts";
import { startStack } from "../local/stack.ts";
import { showProgress } from "./progress.ts";
import { type Findings, median } from "./report.ts";

/** Milliseconds after which a push that did not come is missing. */
const patience = 120_000;

/** Publishes so many events at once, three times, and tells how fast their pushes were sent. At most 1,000, which the report keeps. */
export async function measurePushes(events: number): Promise<Findings> {
  await using stack = await startStack();
  const { control } = stack.simulators.apns;
  const rates: number[] = [];
  const connections: number[] = [];
  await withConnection(stack.databaseUrl, async (sql) => {
    await sql`delete from events.subscriptions as s where s.channel <> 'push'`;
    const tokens = Array.from({ length: events }, () => newPushToken());
    await sql`
      with users as (insert into auth.users (id) select gen_random_uuid() from unnest(${tokens}::text[]) returning id)
      select accounts.admit(u.id) from users as u`;
    await sql`
      insert into notify.push_tokens (token, user_id, environment, registered_at)
      select t.token, u.id, 'production', core.now()
      from (select id, row_number() over () as place from accounts.users) as u
      join unnest(${tokens}::text[]) with ordinality as t (token, place) on t.place = u.place`;
    for (let round = 0; round < 3; round++) {
      await control.reset();
      await sql`
        select events.publish('purchase.credited', u.id, '{"credits": 5}') from accounts.users as u`;
      const end = performance.now() + patience;
      let sent = (await control.report()).requests;
      while (sent.length < events) {
        if (performance.now() > end) throw new Error(`Of ${events} pushes ${sent.length} were sent`);
        showProgress(`pushes, ${sent.length} of ${events}`);
        await new Promise((resolve) => setTimeout(resolve, 250));
        sent = (await control.report()).requests.filter(({ isSent }) => isSent);
      }
      const times = sent.map(({ at }) => at);
      rates.push((events - 1) / ((Math.max(...times) - Math.min(...times)) / 1_000));
      connections.push(new Set(sent.map(({ connection }) => connection)).size);
    }
  });
  return {
    goals: [],
    tables: [{
      title: "Pushes, from the event to the simulated APNs: the median of three times",
      header: ["", "events", "pushes/s", "connections"],
      rows: [["purchase.credited", `${events}`, `${Math.round(median(rates))}`, `${median(connections)}`]],
    }],
  };
}
