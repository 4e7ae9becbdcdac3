import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import type { UploadStorage } from "../platform/storage.ts";

export interface StoredFile {
  readonly content: Uint8Array;
  readonly contentType: string;
}

export interface FakeStorage extends UploadStorage {
  /** By path. */
  readonly files: Map<string, StoredFile>;
}

/** A bucket in memory. Like the real one it keeps whole files only, and wraps whatever fails in ERR_6002. */
export function fakeStorage(given: Partial<UploadStorage> = {}): FakeStorage {
  const files = new Map<string, StoredFile>();
  return {
    files,
    upload: async (path, content, contentType) => {
      try {
        files.set(path, { content: new Uint8Array(await new Response(content).arrayBuffer()), contentType });
      } catch (cause) {
        throw new AppError(codes["storage/failed"], { cause });
      }
    },
    sign: (paths, seconds) =>
      Promise.resolve(
        paths.map((path) =>
          files.has(path) ? `https://storage.example.com/${path}?expires=${seconds}` : null
        ),
      ),
    open: (path) => {
      const file = files.get(path);
      return Promise.resolve(file === undefined ? null : new Blob([file.content.slice()]).stream());
    },
    remove: (paths) => {
      for (const path of paths) files.delete(path);
      return Promise.resolve();
    },
    check: () => Promise.resolve(),
    signUpload: (path) => Promise.resolve(`https://storage.example.com/upload/${path}?token=1`),
    download: (path) => Promise.resolve(files.get(path)?.content.slice() ?? null),
    ...given,
  };
}
