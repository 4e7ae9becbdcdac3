/** Fields of a change: each begins as what is, and says null where it was left so, which the API takes for "as it is". */
import type { ComponentChildren } from "preact";

interface FieldProps {
  label: string;
  name: string;
}

export function TextField({ label, name, value = "", isRequired = true }: FieldProps & {
  value?: string;
  isRequired?: boolean;
}) {
  return (
    <label>
      {label} <input name={name} defaultValue={value} required={isRequired} autoComplete="off" />
    </label>
  );
}

/** Text that may have several lines. */
export function LinesField({ label, name, value }: FieldProps & { value: string }) {
  return (
    <label>
      {label} <textarea name={name} rows={3} defaultValue={value} required />
    </label>
  );
}

/** Without `max` there is no bound that the page knows; null where there is no figure. */
export function NumberField({ label, name, value, min, max, isRequired = true }: FieldProps & {
  value: number | null;
  min?: number;
  max?: number;
  isRequired?: boolean;
}) {
  return (
    <label>
      {label}
      <input
        name={name}
        type="number"
        step={min === undefined ? "any" : 1}
        min={min}
        max={max}
        defaultValue={value === null ? "" : `${value}`}
        required={isRequired}
      />
    </label>
  );
}

export function CheckField({ label, name, value }: FieldProps & { value: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" name={name} defaultChecked={value} /> {label}
    </label>
  );
}

/** `options` are titles by value; "" is for nothing chosen yet. */
export function ChoiceField({ label, name, value, options, isRequired = true }: FieldProps & {
  value: string;
  options: Readonly<Record<string, string>>;
  isRequired?: boolean;
}) {
  return (
    <label>
      {label}
      <select name={name} required={isRequired}>
        {Object.entries(options).map(([option, title]) => (
          <option key={option} value={option} selected={option === value}>{title}</option>
        ))}
      </select>
    </label>
  );
}

/** Text that is JSON, which the browser holds whoever writes it to. */
export function JsonField({ label, name, value }: FieldProps & { value: unknown }) {
  return (
    <label>
      {label}
      <textarea
        name={name}
        rows={8}
        class="code"
        spellcheck={false}
        defaultValue={jsonOf(value)}
        onInput={({ currentTarget }) =>
          currentTarget.setCustomValidity(isJson(currentTarget.value) ? "" : "This is not JSON")}
      />
    </label>
  );
}

export function FieldGroup({ legend, children }: { legend: string; children: ComponentChildren }) {
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      {children}
    </fieldset>
  );
}

export const jsonOf = (value: unknown): string => JSON.stringify(value, null, 2);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const textOf = (form: FormData, name: string): string => String(form.get(name) ?? "").trim();

/** What was chosen of `options`; undefined where it is none of them. */
export function choiceOf<Option extends string>(
  form: FormData,
  name: string,
  options: Readonly<Record<Option, unknown>>,
): Option | undefined {
  return (Object.keys(options) as Option[]).find((option) => option === textOf(form, name));
}

/** Null where nothing was written. */
export function numberIn(form: FormData, name: string): number | null {
  const text = textOf(form, name);
  return text === "" ? null : Number(text);
}

/** The words of a text, which commas or spaces part. */
export const wordsIn = (form: FormData, name: string): string[] =>
  textOf(form, name).split(/[\s,]+/).filter((word) => word !== "");

/** What it says now; null where that is what it was, so that nobody's change in between is undone. */
export function changed<Value>(before: unknown, now: Value | undefined): Value | null {
  return now === undefined || JSON.stringify(now) === JSON.stringify(before) ? null : now;
}
