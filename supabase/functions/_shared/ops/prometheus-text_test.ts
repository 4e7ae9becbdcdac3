import assert from "node:assert/strict";
import { prometheusText } from "./prometheus-text.ts";

Deno.test("a sample is a line, a family without one is nowhere", () => {
  const text = prometheusText([
    { name: "kinora_a", type: "gauge", help: "A", samples: [{ labels: {}, value: 1.5 }] },
    { name: "kinora_b", type: "counter", help: "B", samples: [] },
    { name: "kinora_c", type: "counter", help: "C", samples: [{ labels: { x: "1", y: "2" }, value: 3 }] },
  ]);
  assert.equal(
    text,
    '# HELP kinora_a A\n# TYPE kinora_a gauge\nkinora_a 1.5\n# HELP kinora_c C\n# TYPE kinora_c counter\nkinora_c{x="1",y="2"} 3\n',
  );
});

Deno.test("a histogram's buckets are cumulated, and the last is as many as there are", () => {
  const samples = [{ labels: { x: "1" }, bounds: [0.5, 1], buckets: [2, 0, 3], count: 5, sum: 9.5 }];
  assert.deepEqual(
    prometheusText([{ name: "kinora_h", type: "histogram", help: "H", samples }]).split("\n"),
    [
      "# HELP kinora_h H",
      "# TYPE kinora_h histogram",
      'kinora_h_bucket{x="1",le="0.5"} 2',
      'kinora_h_bucket{x="1",le="1"} 2',
      'kinora_h_bucket{x="1",le="+Inf"} 5',
      'kinora_h_sum{x="1"} 9.5',
      'kinora_h_count{x="1"} 5',
      "",
    ],
  );
});

Deno.test("what would end a line or a label does not", () => {
  const text = prometheusText([
    { name: "kinora_a", type: "gauge", help: "a\\b\nc", samples: [{ labels: { x: 'a"b\\c\nd' }, value: 1 }] },
  ]);
  assert.equal(text, '# HELP kinora_a a\\\\b\\nc\n# TYPE kinora_a gauge\nkinora_a{x="a\\"b\\\\c\\nd"} 1\n');
});
