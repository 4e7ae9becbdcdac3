/** What of a list is shown. It stands in the address. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { choose, route } from "../shell/route.ts";
import { textOf } from "./fields.tsx";

/** Which of `options` the address names; `otherwise` where it names none of them. */
export function chosenOf<Option extends string>(
  name: string,
  options: Readonly<Record<Option, string>>,
  otherwise: NoInfer<Option>,
): Option {
  return (Object.keys(options) as Option[]).find((option) => option === route.value.chosen[name]) ??
    otherwise;
}

/** One of a few, by their titles. */
export function OneOf<Option extends string>({ legend, name, options, value }: {
  legend: string;
  name: string;
  options: Readonly<Record<Option, string>>;
  value: Option;
}) {
  const group = useId();
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      {(Object.entries(options) as [Option, string][]).map(([option, title]) => (
        <label key={option}>
          <input
            type="radio"
            name={group}
            checked={option === value}
            onChange={() => choose({ [name]: option })}
          />
          {title}
        </label>
      ))}
    </fieldset>
  );
}

/** What the address says of each of `names`; what it does not name is absent. */
export function chosenTexts<Name extends string>(
  names: Readonly<Record<Name, string>>,
): { [name in Name]?: string } {
  const { chosen } = route.value;
  return Object.fromEntries(
    Object.keys(names).flatMap((name) => chosen[name] === undefined ? [] : [[name, chosen[name]]]),
  ) as { [name in Name]?: string };
}

/** Texts to filter by, with their titles, behind whatever else there is; done by Enter or the button. */
export function TextFilters({ names, children }: {
  names: Readonly<Record<string, string>>;
  children?: ComponentChildren;
}) {
  const { chosen } = route.value;
  return (
    <form
      class="filters"
      // Anew where the address has changed: it is what the fields begin as.
      key={JSON.stringify(chosen)}
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        choose(Object.fromEntries([...form.keys()].map((name) => [name, textOf(form, name)])));
      }}
    >
      {children}
      {Object.entries(names).map(([name, title]) => (
        <label key={name}>
          {title} <input name={name} defaultValue={chosen[name] ?? ""} autoComplete="off" />
        </label>
      ))}
      <button type="submit">Filter</button>
    </form>
  );
}
