/** The products, and before them what was paid for and waits for one. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import {
  changed,
  CheckField,
  ChoiceField,
  choiceOf,
  LinesField,
  NumberField,
  numberIn,
  TextField,
  textOf,
} from "../../parts/fields.tsx";
import { creditsOf, numberOf, Status, Time } from "../../parts/figures.tsx";
import { UserLink } from "../../parts/links.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel, Part } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Product = components["schemas"]["AdminProduct"];
type Waiting = components["schemas"]["WaitingPurchase"];

const kinds = { consumable: "Credits, once", subscription: "Credits for each period" };
/** Milliseconds: what is credited goes from the list while somebody looks at it. */
const again = 15_000;

export function Products() {
  const loaded = useLoaded((signal) => call("GET", "admin-products", {}, { signal }), [], again);
  const products = loaded.value?.products ?? [];
  return (
    <>
      <Panel
        title="Purchases that wait for a product"
        loaded={loaded}
        empty={{ when: ({ waiting }) => waiting.length === 0, say: "No purchase waits." }}
      >
        {({ waiting }) => (
          <Table
            caption="Purchases that wait for a product"
            rows={waiting}
            rowKey={({ environment, transaction_id }) => `${environment} ${transaction_id}`}
            columns={[
              { title: "Product", cell: ({ product_id }) => product_id },
              { title: "Kind", cell: ({ kind }) => kind },
              { title: "Number", isNumber: true, cell: ({ quantity }) => numberOf(quantity) },
              { title: "User", cell: ({ user_id }) => <UserLink id={user_id} /> },
              { title: "Paid", cell: ({ purchased_at }) => <Time at={purchased_at} /> },
              {
                title: "Transaction",
                cell: ({ transaction_id, environment }) => `${transaction_id} (${environment})`,
              },
              {
                title: "Change",
                cell: (waiting) => <Mend waiting={waiting} products={products} done={loaded.reload} />,
              },
            ]}
          />
        )}
      </Panel>
      {loaded.value && (
        <Part title="All products" controls={<AddProduct done={loaded.reload} />}>
          <ProductTable products={products} done={loaded.reload} />
        </Part>
      )}
    </>
  );
}

/** What credits a purchase that waits: its product, or another kind of it. Nothing credits what Apple calls otherwise. */
function Mend({ waiting: { product_id, kind }, products, done }: {
  waiting: Waiting;
  products: readonly Product[];
  done: () => void;
}) {
  if (kind === "other") return <>–</>;
  const product = products.find((product) => product.product_id === product_id);
  return product === undefined
    ? <AddProduct productId={product_id} kind={kind} done={done} />
    : <ChangeProduct product={product} kind={kind} done={done} />;
}

function ProductTable({ products, done }: { products: readonly Product[]; done: () => void }) {
  if (products.length === 0) return <p class="empty">There are no products.</p>;
  return (
    <Table
      caption="All products"
      rows={products}
      rowKey={({ product_id }) => product_id}
      columns={[
        { title: "Product", cell: ({ product_id }) => product_id },
        { title: "Name", cell: ({ name }) => name },
        { title: "Description", cell: ({ description }) => description },
        { title: "Kind", cell: ({ kind }) => kind },
        { title: "Credits", isNumber: true, cell: ({ credits }) => numberOf(credits) },
        { title: "On trial", isNumber: true, cell: ({ trial_credits }) => numberOf(trial_credits) },
        { title: "Position", isNumber: true, cell: ({ position }) => numberOf(position) },
        {
          title: "Now",
          cell: ({ is_available, is_featured }) =>
            is_available
              ? <Status tone="good">{is_featured ? "sold, featured" : "sold"}</Status>
              : <Status>taken off</Status>,
        },
        { title: "Change", cell: (product) => <ChangeProduct product={product} done={done} /> },
      ]}
    />
  );
}

function AddProduct({ productId = "", kind = "consumable", done }: {
  productId?: string;
  kind?: Product["kind"];
  done: () => void;
}) {
  return (
    <Change
      label="Add"
      title={productId === "" ? "Add a product" : `Add the product ${productId}`}
      run={async ({ reason, form }) => {
        const product = await call("POST", "admin-products", {
          body: {
            product_id: textOf(form, "product_id"),
            kind: choiceOf(form, "kind", kinds) ?? kind,
            name: textOf(form, "name"),
            description: textOf(form, "description"),
            credits: Number(form.get("credits")),
            trial_credits: numberIn(form, "trial_credits"),
            is_available: form.has("is_available"),
            is_featured: form.has("is_featured"),
            position: numberIn(form, "position"),
            reason,
          },
        });
        return `${product.product_id} gives ${
          creditsOf(product.credits)
        }. What waits for it is credited within seconds.`;
      }}
      changed={done}
    >
      <TextField label="Id in App Store Connect" name="product_id" value={productId} />
      <ProductFields
        kind={kind}
        name=""
        description=""
        credits={null}
        trial_credits={0}
        position={0}
        is_available
        is_featured={false}
      />
    </Change>
  );
}

function ChangeProduct({ product, kind = product.kind, done }: {
  product: Product;
  kind?: Product["kind"];
  done: () => void;
}) {
  const { product_id } = product;
  return (
    <Change
      label="Change"
      title={`Change the product ${product_id}`}
      run={async ({ reason, form }) => {
        await call("PATCH", "admin-products", {
          body: {
            product_id,
            kind: changed(product.kind, choiceOf(form, "kind", kinds)),
            name: changed(product.name, textOf(form, "name")),
            description: changed(product.description, textOf(form, "description")),
            credits: changed(product.credits, Number(form.get("credits"))),
            trial_credits: changed(product.trial_credits, numberIn(form, "trial_credits") ?? 0),
            position: changed(product.position, numberIn(form, "position") ?? 0),
            is_available: changed(product.is_available, form.has("is_available")),
            is_featured: changed(product.is_featured, form.has("is_featured")),
            reason,
          },
        });
        return `${product_id} is changed.`;
      }}
      changed={done}
    >
      <ProductFields {...product} kind={kind} />
    </Change>
  );
}

function ProductFields(product: Omit<Product, "product_id" | "credits"> & { credits: number | null }) {
  return (
    <>
      <ChoiceField label="Kind" name="kind" value={product.kind} options={kinds} />
      <TextField label="Name" name="name" value={product.name} />
      <LinesField label="Description" name="description" value={product.description} />
      <NumberField label="Credits" name="credits" value={product.credits} min={1} max={1_000_000} />
      <NumberField
        label="Credits on trial"
        name="trial_credits"
        value={product.trial_credits}
        min={0}
        max={1_000_000}
      />
      <NumberField
        label="Position, lower first"
        name="position"
        value={product.position}
        min={0}
        max={1_000_000}
      />
      <CheckField label="Sold" name="is_available" value={product.is_available} />
      <CheckField label="Featured" name="is_featured" value={product.is_featured} />
    </>
  );
}
