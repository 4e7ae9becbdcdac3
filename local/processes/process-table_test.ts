import assert from "node:assert/strict";
import { askProcessStatus, parentOf, processes, readProcessFiles } from "./process-table.ts";

/** A process whose arguments hold spaces, and its parent in a group of its own. */
async function withChild(work: (pid: number) => void | Promise<void>): Promise<void> {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", "read -r _; exit 0", "two words", "/mein Projekt/x"],
    detached: true,
    stdin: "piped",
  }).spawn();
  try {
    await work(child.pid);
  } finally {
    await child.stdin.close();
    await child.status;
  }
}

for (
  const [name, read, ignore] of [
    ["Linux' files", readProcessFiles, Deno.build.os !== "linux"],
    ["ps", askProcessStatus, false],
  ] as const
) {
  Deno.test(`${name} tell the parent, the group and the command of a process`, { ignore }, async () => {
    await withChild((pid) => {
      const expected = {
        parent: Deno.pid,
        group: pid,
        command: "/bin/sh -c read -r _; exit 0 two words /mein Projekt/x",
      };
      assert.deepEqual(read([pid]).get(pid), expected);
      assert.deepEqual(read().get(pid), expected);
      // Init, and a number that no process has.
      assert.deepEqual([...read([1, pid, 2 ** 30]).keys()], [1, pid]);
    });
  });
}

Deno.test("a process that has ended is not there, waited for or not", async () => {
  const child = new Deno.Command("true").spawn();
  await child.status;
  assert.equal(parentOf(child.pid), undefined);
  assert.equal(processes([child.pid]).size, 0);
});
