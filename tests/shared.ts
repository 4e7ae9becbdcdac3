/**
 * What `open` gives, for all tests of a file: opened before the first of them, disposed of after the last. For tests of which
 * each makes users of its own and asserts about them alone.
 */
export function shared<Resource extends AsyncDisposable>(open: () => Promise<Resource>): Resource {
  let opened: Resource | undefined;
  Deno.test.beforeAll(async () => {
    opened = await open();
  });
  Deno.test.afterAll(async () => await opened?.[Symbol.asyncDispose]());
  return new Proxy(Object.create(null), {
    get(_, name) {
      if (opened === undefined) throw new Error("What a file's tests share is there while they run");
      return Reflect.get(opened, name, opened);
    },
  });
}
