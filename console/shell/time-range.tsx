/** The time that a panel is about, which stands in the address. */
import { choose, route } from "./route.ts";

export const spans = { hour: "1 hour", day: "1 day", month: "30 days" } as const;
export type Span = keyof typeof spans;

export function span(): Span {
  const { span: chosen = "" } = route.value.chosen;
  return Object.hasOwn(spans, chosen) ? chosen as Span : "hour";
}

export function TimeRange() {
  return (
    <fieldset class="choices">
      <legend>Time range</legend>
      {Object.entries(spans).map(([name, title]) => (
        <label key={name}>
          <input
            type="radio"
            name="span"
            value={name}
            checked={name === span()}
            onChange={() => choose({ span: name })}
          />
          {title}
        </label>
      ))}
    </fieldset>
  );
}
